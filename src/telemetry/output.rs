//! Where JSON lines go: standard output, a file, a Unix datagram socket.
//!
//! Guarantees: writing allocates nothing; a datagram never waits, whether its
//! receiver is slow, absent or gone for a while, and what it misses is counted.
//! Standard output and named pipes wait for a reader that pauses, until the run is
//! asked to end: then for 300 ms in all, and what is left is counted. A named pipe
//! that nobody has opened for reading is one whose reader pauses. A regular
//! file waits as long as the system makes it. Each line is one system call
//! (1-2 us), or two where somebody reads, so that it is seen at once and a crash
//! loses none.
//!
//! Not guaranteed: a terminal that takes a part of a line and then no more blocks
//! until it does.

use super::fifo;
use crate::monotonic::now_ns;
use crate::stop::Stop;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest wait for a reader before the request to end is looked at, in ms.
const STEP_MS: u8 = 50;
/// Time that a reader is given once the run is asked to end.
const PATIENCE_NS: u64 = 300_000_000;
/// A pipe that has room takes this much at once (`PIPE_BUF`).
const AT_ONCE: usize = 4096;

/// Takes lines, each with its newline.
pub trait Output: Send + Debug {
    /// Name for errors: `standard output`, or the flag with its path.
    fn name(&self) -> String;

    /// Takes one line.
    ///
    /// # Errors
    /// When the line cannot be kept and no later one can either;
    /// [`io::ErrorKind::BrokenPipe`] means that the reader wants no more.
    fn write(&mut self, line: &[u8]) -> io::Result<()>;

    /// Passes on what is held back, at the end of the run.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn flush(&mut self) -> io::Result<()>;

    /// Lines that could not be delivered so far.
    fn unsent(&self) -> u64 {
        0
    }
}

/// Standard output, or a file written anew; a line at a time.
#[derive(Debug)]
pub struct FileOutput {
    name: String,
    end: End,
    stop: Stop,
    /// A reader may make us wait.
    read_by_others: bool,
    /// Until when a reader is waited for, once the run is asked to end.
    give_up_ns: Option<u64>,
    /// The reader was given up.
    given_up: bool,
    unsent: u64,
}

impl FileOutput {
    /// Creates `path` or empties it, as `flag` asks. `stop` is that of the run.
    ///
    /// # Errors
    /// The system's.
    pub fn create(flag: &str, path: &Path, stop: &Stop) -> io::Result<Self> {
        let opened = fifo::open(
            path,
            File::options().write(true).create(true).truncate(true),
        )?;
        let end = opened.map_or_else(|| End::Unread(path.to_owned()), End::Open);
        Self::new(format!("{flag} {}", path.display()), end, stop)
    }

    /// Standard output. `stop` is that of the run.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn stdout(stop: &Stop) -> io::Result<Self> {
        let file = io::stdout().as_fd().try_clone_to_owned()?.into();
        Self::new("standard output".into(), End::Open(file), stop)
    }

    fn new(name: String, end: End, stop: &Stop) -> io::Result<Self> {
        Ok(Self {
            name,
            read_by_others: match &end {
                End::Open(file) => !file.metadata()?.is_file(),
                End::Unread(_) => true,
            },
            end,
            stop: stop.clone(),
            give_up_ns: None,
            given_up: false,
            unsent: 0,
        })
    }

    /// Waits for the reader to make room; false when it is given up.
    fn room(&mut self) -> io::Result<bool> {
        if !self.read_by_others || self.end.is_ready(0)? {
            return Ok(true);
        }
        let stop = self.stop.clone();
        stop.while_reader_waits(|| {
            while !self.end.is_ready(STEP_MS)? {
                let now = now_ns();
                if stop.is_raised() && now >= *self.give_up_ns.get_or_insert(now + PATIENCE_NS) {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }
}

/// Where the lines go in.
#[derive(Debug)]
enum End {
    Open(File),
    /// A named pipe without a reader so far.
    Unread(PathBuf),
}

impl End {
    /// Whether a write would not wait, or would fail at once; within `wait_ms`.
    fn is_ready(&mut self, wait_ms: u8) -> io::Result<bool> {
        if let Self::Unread(path) = self {
            let Some(file) = fifo::open(path, File::options().write(true))? else {
                std::thread::sleep(Duration::from_millis(wait_ms.into()));
                return Ok(false);
            };
            *self = Self::Open(file);
        }
        match self {
            Self::Open(file) => is_ready(file, wait_ms),
            Self::Unread(_) => Ok(false),
        }
    }
}

impl Write for End {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Open(file) => file.write(bytes),
            Self::Unread(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Open(file) => file.flush(),
            Self::Unread(_) => Ok(()),
        }
    }
}

/// Whether a write would not wait, or would fail at once; within `wait_ms`.
fn is_ready(file: &File, wait_ms: u8) -> io::Result<bool> {
    let mut fds = [PollFd::new(file.as_fd(), PollFlags::POLLOUT)];
    match poll(&mut fds, PollTimeout::from(wait_ms)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

impl Output for FileOutput {
    fn name(&self) -> String {
        self.name.clone()
    }
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        for part in line.chunks(AT_ONCE) {
            self.given_up = self.given_up || !self.room()?;
            if self.given_up {
                self.unsent += 1;
                return Ok(());
            }
            self.end.write_all(part)?;
        }
        Ok(())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.end.flush()
    }
    fn unsent(&self) -> u64 {
        self.unsent
    }
}

/// Datagrams to a socket that somebody else has bound, one line each.
#[derive(Debug)]
pub struct DatagramOutput {
    path: PathBuf,
    socket: UnixDatagram,
    unsent: u64,
}

impl DatagramOutput {
    /// Will send to the socket at `path`, whether it is there yet or not.
    ///
    /// # Errors
    /// When `path` is too long for a socket address, or the system has no socket
    /// to give.
    pub fn open(path: &Path) -> io::Result<Self> {
        std::os::unix::net::SocketAddr::from_pathname(path)?;
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            path: path.to_owned(),
            socket,
            unsent: 0,
        })
    }
}

impl Output for DatagramOutput {
    fn name(&self) -> String {
        format!("unixgram:{}", self.path.display())
    }
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        // Every failure is the receiver's: full, absent, or not ours to write to.
        if self.socket.send_to(line, &self.path).is_err() {
            self.unsent += 1;
        }
        Ok(())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn unsent(&self) -> u64 {
        self.unsent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_datagram_without_a_receiver_is_counted_and_a_late_one_is_served() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e4.sock");
        let mut output = DatagramOutput::open(&path).unwrap();
        output.write(b"lost\n").unwrap();
        assert_eq!(output.unsent(), 1);
        let receiver = UnixDatagram::bind(&path).unwrap();
        output.write(b"kept\n").unwrap();
        assert_eq!(output.unsent(), 1);
        let mut line = [0; 16];
        let length = receiver.recv(&mut line).unwrap();
        assert_eq!(&line[..length], b"kept\n");
        drop(receiver);
        output.write(b"lost\n").unwrap();
        assert_eq!(output.unsent(), 2);
    }

    #[test]
    fn a_receiver_that_does_not_read_never_blocks_the_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e4.sock");
        let _receiver = UnixDatagram::bind(&path).unwrap();
        let mut output = DatagramOutput::open(&path).unwrap();
        for _ in 0..10_000 {
            output.write(&[b'x'; 500]).unwrap();
        }
        assert!(output.unsent() > 0 && output.unsent() < 10_000);
    }

    #[test]
    fn a_socket_path_that_is_too_long_is_refused_at_once() {
        assert!(DatagramOutput::open(Path::new(&"x".repeat(300))).is_err());
    }

    #[test]
    fn a_file_holds_each_line_at_once_and_starts_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.jsonl");
        std::fs::write(&path, "old").unwrap();
        let mut output = FileOutput::create("--output", &path, &Stop::new()).unwrap();
        output.write(b"{}\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"{}\n");
        assert_eq!(output.name(), format!("--output {}", path.display()));
    }

    /// A pipe that is full, and its reader.
    fn blocked(stop: &Stop) -> (FileOutput, io::PipeReader) {
        let (reader, mut writer) = io::pipe().unwrap();
        let file = File::from(std::os::fd::OwnedFd::from(writer.try_clone().unwrap()));
        while is_ready(&file, 0).unwrap() {
            writer.write_all(&[b'x'; AT_ONCE]).unwrap();
        }
        let end = End::Open(file);
        (FileOutput::new("pipe".into(), end, stop).unwrap(), reader)
    }

    #[test]
    fn a_reader_that_pauses_is_no_stall_and_gets_every_line() {
        let stop = Stop::new();
        let (mut output, mut reader) = blocked(&stop);
        let watched = stop.clone();
        let reading = std::thread::spawn(move || {
            // Until then nobody reads.
            while watched.held_up_until_ns(1) == 0 {
                std::thread::yield_now();
            }
            let mut all = Vec::new();
            reader.read_to_end(&mut all).unwrap();
            all
        });
        output.write(b"kept\n").unwrap();
        assert_eq!(output.unsent(), 0);
        drop(output);
        assert!(reading.join().unwrap().ends_with(b"xkept\n"));
    }

    #[test]
    fn a_reader_that_pauses_does_not_hold_up_a_run_that_is_to_end() {
        let stop = Stop::new();
        let (mut output, _reader) = blocked(&stop);
        stop.raise();
        for _ in 0..1000 {
            output.write(b"lost\n").unwrap();
        }
        assert_eq!(output.unsent(), 1000);
    }

    #[test]
    fn a_named_pipe_waits_for_its_reader_and_not_beyond_the_end_of_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let stop = Stop::new();
        let mut unread = FileOutput::create("--output", &path, &stop).unwrap();
        let mut read = FileOutput::create("--output", &path, &stop).unwrap();
        let reader = std::thread::spawn({
            let (path, stop) = (path.clone(), stop.clone());
            move || {
                while stop.held_up_until_ns(1) == 0 {
                    std::thread::yield_now();
                }
                std::fs::read(path).unwrap()
            }
        });
        read.write(b"kept\n").unwrap();
        drop(read);
        assert_eq!(reader.join().unwrap(), b"kept\n");
        stop.raise();
        unread.write(b"lost\n").unwrap();
        assert_eq!(unread.unsent(), 1);
    }

    #[test]
    fn a_full_device_is_an_error() {
        let Ok(mut output) = FileOutput::create("--output", Path::new("/dev/full"), &Stop::new())
        else {
            println!("skipped: no /dev/full here");
            return;
        };
        assert!(output.write(b"{}\n").is_err());
    }
}
