//! An open video node: every call to the kernel about it, with checked types.
//!
//! Guarantees: a call that a signal interrupts is made again; structures go in
//! zeroed but for what is asked, as the kernel wants it. No call allocates, but
//! those that enumerate. Not guaranteed: that the driver's answer makes sense;
//! that is for the caller to check.

use super::abi::{self, BufType, Fract, MAX_PLANES};
use super::answers::{Dequeued, DriverFormat, PlaneMemory, answer, buffer, low, nanoseconds};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// The raw calls, numbered as in `linux/videodev2.h`.
mod raw {
    use super::abi;
    nix::ioctl_read!(querycap, b'V', 0, abi::Capability);
    nix::ioctl_readwrite!(enum_fmt, b'V', 2, abi::FmtDesc);
    nix::ioctl_readwrite!(s_fmt, b'V', 5, abi::Format);
    nix::ioctl_readwrite!(reqbufs, b'V', 8, abi::RequestBuffers);
    nix::ioctl_readwrite!(querybuf, b'V', 9, abi::Buffer);
    nix::ioctl_readwrite!(qbuf, b'V', 15, abi::Buffer);
    nix::ioctl_readwrite!(dqbuf, b'V', 17, abi::Buffer);
    nix::ioctl_write_ptr!(streamon, b'V', 18, u32);
    nix::ioctl_write_ptr!(streamoff, b'V', 19, u32);
    nix::ioctl_readwrite!(g_parm, b'V', 21, abi::StreamParm);
    nix::ioctl_readwrite!(s_parm, b'V', 22, abi::StreamParm);
    nix::ioctl_readwrite!(g_ctrl, b'V', 27, abi::Control);
    nix::ioctl_readwrite!(s_ctrl, b'V', 28, abi::Control);
    nix::ioctl_readwrite!(queryctrl, b'V', 36, abi::QueryCtrl);
    nix::ioctl_readwrite!(enum_framesizes, b'V', 74, abi::FrameSizeEnum);
    nix::ioctl_readwrite!(enum_frameintervals, b'V', 75, abi::FrameIntervalEnum);
    nix::ioctl_read!(dqevent, b'V', 89, abi::Event);
    nix::ioctl_write_ptr!(subscribe_event, b'V', 90, abi::EventSubscription);
}

/// A video node that is open for reading and writing, without blocking.
#[derive(Debug)]
pub struct Node {
    file: File,
}

/// What a wait came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// A buffer may be dequeued.
    pub buffer: bool,
    /// An event may be dequeued.
    pub event: bool,
    /// The device or its queue has failed.
    pub failed: bool,
}

fn again(mut call: impl FnMut() -> nix::Result<i32>) -> nix::Result<()> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            other => return other.map(drop),
        }
    }
}

impl Node {
    /// Opens `path`.
    ///
    /// # Errors
    /// The system's.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(path)?;
        Ok(Self { file })
    }

    /// The open file, for mapping.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Who the device is and what it can do.
    pub fn capability(&self) -> nix::Result<abi::Capability> {
        let mut cap = abi::Capability::default();
        // SAFETY: the structure is the one that this call writes.
        again(|| unsafe { raw::querycap(self.fd(), &raw mut cap) })?;
        Ok(cap)
    }

    /// Format number `index` of a queue, `None` after the last.
    pub fn format(&self, buf_type: BufType, index: u32) -> nix::Result<Option<abi::FmtDesc>> {
        let mut desc = abi::FmtDesc {
            index,
            buf_type: buf_type as u32,
            ..abi::FmtDesc::default()
        };
        // SAFETY: the structure is the one that this call reads and writes.
        let done = again(|| unsafe { raw::enum_fmt(self.fd(), &raw mut desc) });
        ended(done.map(|()| desc))
    }

    /// Frame size number `index` of a format, `None` after the last.
    pub fn frame_size(&self, fourcc: u32, index: u32) -> nix::Result<Option<abi::FrameSizeEnum>> {
        let mut size = abi::FrameSizeEnum {
            index,
            pixel_format: fourcc,
            ..abi::FrameSizeEnum::default()
        };
        // SAFETY: the structure is the one that this call reads and writes.
        let done = again(|| unsafe { raw::enum_framesizes(self.fd(), &raw mut size) });
        ended(done.map(|()| size))
    }

    /// Frame interval number `index` of a format and size, `None` after the last.
    pub fn frame_interval(
        &self,
        fourcc: u32,
        (width, height): (u32, u32),
        index: u32,
    ) -> nix::Result<Option<abi::FrameIntervalEnum>> {
        let mut interval = abi::FrameIntervalEnum {
            index,
            pixel_format: fourcc,
            width,
            height,
            ..abi::FrameIntervalEnum::default()
        };
        // SAFETY: the structure is the one that this call reads and writes.
        let done = again(|| unsafe { raw::enum_frameintervals(self.fd(), &raw mut interval) });
        ended(done.map(|()| interval))
    }

    /// Asks for a format; the driver's answer is what it will deliver.
    pub fn set_format(
        &self,
        buf_type: BufType,
        (width, height): (u32, u32),
        fourcc: u32,
    ) -> nix::Result<DriverFormat> {
        let mut format = abi::Format {
            buf_type: buf_type as u32,
            fmt: abi::FormatUnion { raw: [0; 200] },
        };
        match buf_type {
            BufType::Capture => {
                format.fmt.pix = abi::PixFormat {
                    width,
                    height,
                    pixelformat: fourcc,
                    field: abi::FIELD_NONE,
                    ..abi::PixFormat::default()
                };
            }
            BufType::CaptureMplane => {
                format.fmt.pix_mp = abi::PixFormatMplane {
                    width,
                    height,
                    pixelformat: fourcc,
                    field: abi::FIELD_NONE,
                    ..abi::PixFormatMplane::default()
                };
            }
        }
        // SAFETY: the structure is the one that this call reads and writes.
        again(|| unsafe { raw::s_fmt(self.fd(), &raw mut format) })?;
        Ok(answer(buf_type, &format))
    }

    /// Sets the frame interval; the driver's answer, `None` where it has no say.
    pub fn set_interval(&self, buf_type: BufType, interval: Fract) -> nix::Result<Option<Fract>> {
        let mut parm = abi::StreamParm {
            buf_type: buf_type as u32,
            capability: 0,
            capturemode: 0,
            timeperframe: interval,
            rest: [0; 46],
        };
        // SAFETY: the structure is the one that this call reads and writes.
        let set = again(|| unsafe { raw::s_parm(self.fd(), &raw mut parm) });
        if let Err(Errno::ENOTTY | Errno::EINVAL) = set {
            // SAFETY: as above.
            match again(|| unsafe { raw::g_parm(self.fd(), &raw mut parm) }) {
                Err(Errno::ENOTTY | Errno::EINVAL) => return Ok(None),
                other => other?,
            }
        } else {
            set?;
        }
        let Fract {
            numerator,
            denominator,
        } = parm.timeperframe;
        let told = parm.capability & abi::CAP_TIMEPERFRAME != 0 || set.is_ok();
        Ok((told && numerator > 0 && denominator > 0).then_some(parm.timeperframe))
    }

    /// Asks for `count` buffers to map, 0 gives them back; how many there are.
    pub fn request_buffers(&self, buf_type: BufType, count: u32) -> nix::Result<u32> {
        let mut request = abi::RequestBuffers {
            count,
            buf_type: buf_type as u32,
            memory: abi::MEMORY_MMAP,
            ..abi::RequestBuffers::default()
        };
        // SAFETY: the structure is the one that this call reads and writes.
        again(|| unsafe { raw::reqbufs(self.fd(), &raw mut request) })?;
        Ok(request.count)
    }

    /// Where the planes of buffer `index` are to be mapped, and how many there
    /// are.
    pub fn query_buffer(
        &self,
        buf_type: BufType,
        index: u32,
    ) -> nix::Result<([PlaneMemory; MAX_PLANES], usize)> {
        let mut planes = [abi::Plane::default(); MAX_PLANES];
        let mut buffer = buffer(buf_type, index, &mut planes);
        // SAFETY: the structure is the one that this call reads and writes, with
        // room for every plane there can be.
        again(|| unsafe { raw::querybuf(self.fd(), &raw mut buffer) })?;
        let mut memory = [PlaneMemory::default(); MAX_PLANES];
        if buf_type == BufType::Capture {
            memory[0] = PlaneMemory {
                // SAFETY: for mapped single-planar buffers the kernel sets this one.
                offset: unsafe { buffer.m.offset },
                length: buffer.length,
            };
            return Ok((memory, 1));
        }
        for (memory, plane) in memory.iter_mut().zip(&planes) {
            *memory = PlaneMemory {
                offset: low(plane.m),
                length: plane.length,
            };
        }
        Ok((memory, (buffer.length as usize).min(MAX_PLANES)))
    }

    /// Gives buffer `index` to the driver.
    pub fn queue(&self, buf_type: BufType, index: u32) -> nix::Result<()> {
        let mut planes = [abi::Plane::default(); MAX_PLANES];
        let mut buffer = buffer(buf_type, index, &mut planes);
        // SAFETY: the structure is the one that this call reads and writes.
        again(|| unsafe { raw::qbuf(self.fd(), &raw mut buffer) })
    }

    /// Takes a filled buffer back, `None` where none is ready.
    pub fn dequeue(&self, buf_type: BufType) -> nix::Result<Option<Dequeued>> {
        let mut planes = [abi::Plane::default(); MAX_PLANES];
        let mut buffer = buffer(buf_type, 0, &mut planes);
        // SAFETY: the structure is the one that this call reads and writes.
        match again(|| unsafe { raw::dqbuf(self.fd(), &raw mut buffer) }) {
            Err(Errno::EAGAIN) => return Ok(None),
            other => other?,
        }
        let mut frame = Dequeued {
            index: buffer.index,
            flags: buffer.flags,
            sequence: buffer.sequence,
            timestamp_ns: nanoseconds(buffer.timestamp),
            bytesused: [0; MAX_PLANES],
            data_offset: [0; MAX_PLANES],
        };
        match buf_type {
            BufType::Capture => frame.bytesused[0] = buffer.bytesused,
            BufType::CaptureMplane => {
                for (index, plane) in planes.iter().enumerate() {
                    frame.data_offset[index] = plane.data_offset;
                    frame.bytesused[index] = plane.bytesused.saturating_sub(plane.data_offset);
                }
            }
        }
        Ok(Some(frame))
    }

    /// Ends the flow of frames; the driver has no buffers then.
    pub fn stream_off(&self, buf_type: BufType) -> nix::Result<()> {
        let kind = buf_type as u32;
        // SAFETY: the call reads one number.
        again(|| unsafe { raw::streamoff(self.fd(), &raw const kind) })
    }

    /// Starts the flow of frames.
    pub fn stream_on(&self, buf_type: BufType) -> nix::Result<()> {
        let kind = buf_type as u32;
        // SAFETY: the call reads one number.
        again(|| unsafe { raw::streamon(self.fd(), &raw const kind) })
    }

    /// Asks for events of a kind; false where the driver has none.
    pub fn subscribe(&self, kind: u32) -> bool {
        let subscription = abi::EventSubscription {
            kind,
            ..abi::EventSubscription::default()
        };
        // SAFETY: the structure is the one that this call reads.
        again(|| unsafe { raw::subscribe_event(self.fd(), &raw const subscription) }).is_ok()
    }

    /// The kind of the next event and its first number, `None` where none waits.
    pub fn event(&self) -> nix::Result<Option<(u32, u32)>> {
        let mut event = abi::Event {
            kind: 0,
            padding: 0,
            data: [0; 16],
            pending: 0,
            sequence: 0,
            timestamp: libc::timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            id: 0,
            reserved: [0; 9],
        };
        // SAFETY: the structure is the one that this call writes.
        match again(|| unsafe { raw::dqevent(self.fd(), &raw mut event) }) {
            Err(Errno::ENOENT | Errno::EAGAIN) => Ok(None),
            other => other.map(|()| Some((event.kind, event.data[0]))),
        }
    }

    /// What a control is, `None` where the device has none of that id.
    pub fn control_info(&self, id: u32) -> nix::Result<Option<abi::QueryCtrl>> {
        let mut info = abi::QueryCtrl {
            id,
            ..abi::QueryCtrl::default()
        };
        // SAFETY: the structure is the one that this call reads and writes.
        let done = again(|| unsafe { raw::queryctrl(self.fd(), &raw mut info) });
        let info = ended(done.map(|()| info))?;
        Ok(info.filter(|info| info.flags & abi::CTRL_FLAG_DISABLED == 0))
    }

    /// The value of a control.
    pub fn control(&self, id: u32) -> nix::Result<i32> {
        let mut control = abi::Control { id, value: 0 };
        // SAFETY: the structure is the one that this call reads and writes.
        again(|| unsafe { raw::g_ctrl(self.fd(), &raw mut control) })?;
        Ok(control.value)
    }

    /// Sets a control; the value that the driver took.
    pub fn set_control(&self, id: u32, value: i32) -> nix::Result<i32> {
        let mut control = abi::Control { id, value };
        // SAFETY: the structure is the one that this call reads and writes.
        again(|| unsafe { raw::s_ctrl(self.fd(), &raw mut control) })?;
        Ok(control.value)
    }

    /// Waits for a buffer or an event, for `timeout` at most; a signal ends the
    /// wait early.
    pub fn wait(&self, timeout: Duration) -> nix::Result<Ready> {
        let asked = PollFlags::POLLIN | PollFlags::POLLPRI;
        let mut fds = [PollFd::new(self.file.as_fd(), asked)];
        match ppoll(&mut fds, Some(TimeSpec::from_duration(timeout)), None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
        let got = fds[0].revents().unwrap_or(PollFlags::empty());
        Ok(Ready {
            buffer: got.contains(PollFlags::POLLIN),
            event: got.contains(PollFlags::POLLPRI),
            failed: got.intersects(PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL),
        })
    }
}

/// The end of an enumeration is no error.
fn ended<T>(done: nix::Result<T>) -> nix::Result<Option<T>> {
    match done {
        Ok(item) => Ok(Some(item)),
        Err(Errno::EINVAL | Errno::ENOTTY | Errno::ENODATA) => Ok(None),
        Err(error) => Err(error),
    }
}
