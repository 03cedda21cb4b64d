//! Where JSON lines go: standard output, a file, a Unix datagram socket.
//!
//! Guarantees: writing allocates nothing; a datagram never waits, whether its
//! receiver is slow, absent or gone for a while, and what it misses is counted.
//! Standard output and files wait as long as the system makes them; each line is
//! one system call (1-2 us), so that a reader sees it at once and a crash loses
//! none.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// Takes lines, each with its newline.
pub trait Output: Send + Debug {
    /// Name for errors: `standard output`, a path.
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

/// Standard output, a line at a time.
#[derive(Debug, Default)]
pub struct Stdout;

impl Output for Stdout {
    fn name(&self) -> String {
        "standard output".into()
    }
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        io::stdout().write_all(line)
    }
    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

/// A file, written anew.
#[derive(Debug)]
pub struct FileOutput {
    path: PathBuf,
    file: File,
}

impl FileOutput {
    /// Creates `path` or empties it.
    ///
    /// # Errors
    /// The system's.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            file: File::create(path)?,
        })
    }
}

impl Output for FileOutput {
    fn name(&self) -> String {
        self.path.display().to_string()
    }
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.file.write_all(line)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
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
        let mut output = FileOutput::create(&path).unwrap();
        output.write(b"{}\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"{}\n");
        assert_eq!(output.name(), path.display().to_string());
    }

    #[test]
    fn a_full_device_is_an_error() {
        let Ok(mut output) = FileOutput::create(Path::new("/dev/full")) else {
            println!("skipped: no /dev/full here");
            return;
        };
        assert!(output.write(b"{}\n").is_err());
    }
}
