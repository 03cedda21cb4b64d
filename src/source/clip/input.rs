//! Bytes of a clip, read forward from a file or a pipe.
//!
//! Guarantees: a read from a pipe never waits past the caller's deadline and
//! can be taken up again where it stopped, and never for long past the end of
//! the run; the bulk of a frame goes straight
//! from the kernel into the caller's slot. Not guaranteed: a file on a dead
//! network mount blocks as the kernel blocks. Cost: one 16 KiB buffer, reused
//! from clip to clip, and two system calls a frame.

use crate::monotonic::now_ns;
use crate::stop::Stop;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;

/// Bytes read ahead at once; headers and chunk marks are parsed in there.
const BLOCK: usize = 16 * 1024;
/// Longest wait before the run's request to end is looked at.
const LOOK_UP_NS: u64 = 50_000_000;

/// How far a read came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Got {
    /// Everything that was asked for.
    All,
    /// The deadline passed first; ask again with the same arguments.
    Pending,
    /// The data ended first.
    End,
}

/// A file or pipe with a read-ahead buffer.
#[derive(Debug)]
pub(super) struct Input {
    file: File,
    /// Size where it is known: of a regular file.
    len: Option<u64>,
    /// Longest wait for the first byte of a stretch, of a pipe.
    patience_ns: u64,
    waiting_since: Option<u64>,
    /// A named pipe that may have no writer yet, and is waited for however long.
    unwritten: bool,
    stop: Option<Stop>,
    buf: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset of the file behind the buffered bytes.
    offset: u64,
    /// Bytes of a pipe still to be passed over.
    to_skip: u64,
}

impl Input {
    /// Reads `file` from its current start; `spare` is a buffer to use again.
    pub(super) fn new(file: File, patience_ns: u64, spare: Vec<u8>) -> io::Result<Self> {
        let meta = file.metadata()?;
        let mut buf = spare;
        if buf.len() < BLOCK {
            buf.resize(BLOCK, 0);
        }
        Ok(Self {
            file,
            len: meta.is_file().then_some(meta.len()),
            patience_ns,
            waiting_since: None,
            unwritten: false,
            stop: None,
            buf,
            start: 0,
            end: 0,
            offset: 0,
            to_skip: 0,
        })
    }

    /// Ends every wait once `stop` is raised.
    pub(super) fn ended_by(mut self, stop: &Stop) -> Self {
        self.stop = Some(stop.clone());
        self
    }

    /// Waits for the first byte without an end to its patience.
    pub(super) fn unwritten(mut self) -> Self {
        self.unwritten = true;
        self
    }

    /// The buffer, to be used by the next input.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.buf
    }

    /// Bytes read ahead and not consumed yet.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }

    /// Offset of the next byte.
    pub(super) fn position(&self) -> u64 {
        self.offset - (self.end - self.start) as u64 + self.to_skip
    }

    /// Offset behind the last byte seen, or of the end where that is known.
    pub(super) fn end_position(&self) -> u64 {
        self.len.unwrap_or(self.offset)
    }

    /// True when the data is known to end before `bytes` more.
    pub(super) fn lacks(&self, bytes: u64) -> bool {
        self.len
            .is_some_and(|len| len.saturating_sub(self.position()) < bytes)
    }

    /// Takes `bytes` off the front of [`bytes`](Self::bytes).
    pub(super) fn consume(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.end);
    }

    /// Passes over `bytes`, which may lie beyond the end.
    pub(super) fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let buffered = (self.end - self.start) as u64;
        if let Ok(within) = usize::try_from(bytes)
            && bytes <= buffered
        {
            self.consume(within);
            return Ok(());
        }
        let rest = bytes - buffered;
        self.consume(self.end);
        if self.len.is_some() {
            self.offset = self.offset.saturating_add(rest);
            self.file.seek(SeekFrom::Start(self.offset))?;
        } else {
            self.to_skip = self.to_skip.saturating_add(rest);
        }
        Ok(())
    }

    /// Back (or forward) to byte `offset`; false where the input cannot.
    pub(super) fn rewind_to(&mut self, offset: u64) -> io::Result<bool> {
        if self.len.is_none() {
            return Ok(false);
        }
        self.offset = self.file.seek(SeekFrom::Start(offset))?;
        (self.start, self.end) = (0, 0);
        Ok(true)
    }

    /// Reads ahead until [`bytes`](Self::bytes) holds `want` or more.
    pub(super) fn want(&mut self, want: usize, deadline_ns: u64) -> io::Result<Got> {
        if !self.skipped(deadline_ns)? {
            return Ok(Got::Pending);
        }
        if self.end - self.start >= want {
            return Ok(Got::All);
        }
        self.buf.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.buf.len() < want {
            self.buf.resize(want.next_multiple_of(BLOCK), 0);
        }
        // No further than this, or a large buffer would carry whole frames.
        let ahead = want.max(BLOCK);
        while self.end < want {
            if !self.ready(deadline_ns)? {
                return Ok(Got::Pending);
            }
            match read_some(&mut self.file, &mut self.buf[self.end..ahead])? {
                0 => return Ok(Got::End),
                n => {
                    self.end += n;
                    self.offset += n as u64;
                }
            }
        }
        Ok(Got::All)
    }

    /// Fills `into` from `filled` on, which it moves forward.
    pub(super) fn fill(
        &mut self,
        into: &mut [u8],
        filled: &mut usize,
        deadline_ns: u64,
    ) -> io::Result<Got> {
        if !self.skipped(deadline_ns)? {
            return Ok(Got::Pending);
        }
        let ahead = self.bytes().len().min(into.len() - *filled);
        into[*filled..*filled + ahead].copy_from_slice(&self.bytes()[..ahead]);
        self.consume(ahead);
        *filled += ahead;
        while *filled < into.len() {
            if !self.ready(deadline_ns)? {
                return Ok(Got::Pending);
            }
            match read_some(&mut self.file, &mut into[*filled..])? {
                0 => return Ok(Got::End),
                n => {
                    *filled += n;
                    self.offset += n as u64;
                }
            }
        }
        Ok(Got::All)
    }

    /// Passes over what [`skip`](Self::skip) left of a pipe; false at the deadline.
    fn skipped(&mut self, deadline_ns: u64) -> io::Result<bool> {
        while self.to_skip > 0 {
            if !self.ready(deadline_ns)? {
                return Ok(false);
            }
            let room = usize::try_from(self.to_skip).unwrap_or(usize::MAX);
            let room = room.min(self.buf.len());
            match read_some(&mut self.file, &mut self.buf[..room])? {
                0 => self.to_skip = 0,
                n => {
                    self.to_skip -= n as u64;
                    self.offset += n as u64;
                }
            }
        }
        Ok(true)
    }

    /// Waits for a pipe to have data or to end; false at the deadline.
    ///
    /// Only waits of ours count against the patience, not the time in which
    /// nobody asked.
    fn ready(&mut self, deadline_ns: u64) -> io::Result<bool> {
        if self.len.is_some() {
            return Ok(true);
        }
        loop {
            let now = now_ns();
            let waiting_since = self.waiting_since.unwrap_or(now);
            let give_up = match self.unwritten {
                true => u64::MAX,
                false => waiting_since.saturating_add(self.patience_ns),
            };
            let look_up = now.saturating_add(LOOK_UP_NS);
            let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
            match poll(
                &mut fds,
                timeout(deadline_ns.min(give_up).min(look_up).saturating_sub(now)),
            ) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => {
                    self.waiting_since = None;
                    self.unwritten = false;
                    return Ok(true);
                }
                Err(error) => return Err(error.into()),
            }
            self.waiting_since.get_or_insert(now);
            let now = now_ns();
            if now >= give_up {
                return Err(io::ErrorKind::TimedOut.into());
            }
            if now >= deadline_ns {
                return Ok(false);
            }
            if self.stop.as_ref().is_some_and(Stop::is_raised) {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
    }
}

/// Milliseconds, rounded up, so that a wait does not turn into a spin.
fn timeout(wait_ns: u64) -> PollTimeout {
    let ms = wait_ns.div_ceil(1_000_000).min(3_600_000);
    PollTimeout::try_from(ms).unwrap_or(PollTimeout::ZERO)
}

fn read_some(file: &mut File, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
