//! The driver's answers in plain types, and questions about buffers in the
//! kernel's.

use super::abi::{self, BufType, MAX_PLANES};

/// A format as the driver has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DriverFormat {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Four-character code.
    pub fourcc: u32,
    /// How fields lie in a buffer.
    pub field: u32,
    /// Bytes of a row, per plane.
    pub bytesperline: [u32; MAX_PLANES],
    /// Bytes of a buffer, per plane.
    pub sizeimage: [u32; MAX_PLANES],
    /// Planes of a buffer.
    pub planes: usize,
    /// Colour space, YCbCr encoding, quantisation, transfer function.
    pub colour: [u32; 4],
}

/// A plane of a buffer, for mapping.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlaneMemory {
    /// Where to map it.
    pub offset: u32,
    /// Its bytes.
    pub length: u32,
}

/// A buffer that the driver gave back.
#[derive(Clone, Copy, Debug)]
pub struct Dequeued {
    /// Which one.
    pub index: u32,
    /// Flags.
    pub flags: u32,
    /// The driver's number of the frame.
    pub sequence: u32,
    /// The driver's stamp; what it means is in the flags.
    pub timestamp_ns: i64,
    /// Bytes written, per plane, without those ahead of the data.
    pub bytesused: [u32; MAX_PLANES],
    /// Bytes ahead of the data, per plane.
    pub data_offset: [u32; MAX_PLANES],
}

/// The first half of a union of 64 bits.
pub(super) fn low(m: u64) -> u32 {
    let bytes = m.to_ne_bytes();
    u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// A time of the kernel's; it may lie before zero.
pub(super) fn nanoseconds(time: libc::timeval) -> i64 {
    let seconds = time.tv_sec.saturating_mul(1_000_000_000);
    seconds.saturating_add(time.tv_usec.saturating_mul(1_000))
}

/// A buffer structure for a call; `planes` must outlive it.
pub(super) fn buffer(
    buf_type: BufType,
    index: u32,
    planes: &mut [abi::Plane; MAX_PLANES],
) -> abi::Buffer {
    let (m, length) = match buf_type {
        BufType::Capture => (abi::BufferMemory { raw: 0 }, 0),
        BufType::CaptureMplane => (
            abi::BufferMemory {
                planes: planes.as_mut_ptr(),
            },
            8,
        ),
    };
    abi::Buffer {
        index,
        buf_type: buf_type as u32,
        bytesused: 0,
        flags: 0,
        field: 0,
        timestamp: libc::timeval {
            tv_sec: 0,
            tv_usec: 0,
        },
        timecode: [0; 4],
        sequence: 0,
        memory: abi::MEMORY_MMAP,
        m,
        length,
        reserved: [0; 2],
    }
}

/// What the kernel answered about a queue's format.
pub(super) fn answer(buf_type: BufType, format: &abi::Format) -> DriverFormat {
    let mut told = DriverFormat::default();
    match buf_type {
        BufType::Capture => {
            // SAFETY: for this queue the kernel fills this member.
            let pix = unsafe { format.fmt.pix };
            (told.width, told.height, told.field) = (pix.width, pix.height, pix.field);
            told.fourcc = pix.pixelformat;
            (told.bytesperline[0], told.sizeimage[0]) = (pix.bytesperline, pix.sizeimage);
            told.planes = 1;
            told.colour = [
                pix.colorspace,
                pix.ycbcr_enc,
                pix.quantization,
                pix.xfer_func,
            ];
        }
        BufType::CaptureMplane => {
            // SAFETY: for this queue the kernel fills this member.
            let pix = unsafe { format.fmt.pix_mp };
            (told.width, told.height, told.field) = (pix.width, pix.height, pix.field);
            told.fourcc = pix.pixelformat;
            told.planes = usize::from(pix.num_planes).min(MAX_PLANES);
            let planes = pix.plane_fmt;
            for (index, plane) in planes.iter().enumerate() {
                (told.bytesperline[index], told.sizeimage[index]) =
                    (plane.bytesperline, plane.sizeimage);
            }
            told.colour = [
                pix.colorspace,
                u32::from(pix.ycbcr_enc),
                u32::from(pix.quantization),
                u32::from(pix.xfer_func),
            ];
        }
    }
    told
}
