//! The kernel's structures and numbers, as `linux/videodev2.h` has them.
//!
//! Guarantees: sizes and offsets are those of the 64-bit Linux ABI (checked when
//! compiled). Costs nothing. What we never read of a structure is `reserved`.

/// Most planes of a buffer.
pub const MAX_PLANES: usize = 8;

/// What kind of queue a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum BufType {
    /// One plane a buffer.
    Capture = 1,
    /// One or more planes a buffer.
    CaptureMplane = 9,
}

/// Buffers that the driver allocates and we map.
pub const MEMORY_MMAP: u32 = 1;

/// Capability: single-planar capture.
pub const CAP_VIDEO_CAPTURE: u32 = 0x1;
/// Capability: multi-planar capture.
pub const CAP_VIDEO_CAPTURE_MPLANE: u32 = 0x1000;
/// Capability: streaming I/O.
pub const CAP_STREAMING: u32 = 0x0400_0000;
/// `device_caps` is filled.
pub const CAP_DEVICE_CAPS: u32 = 0x8000_0000;
/// `timeperframe` is honoured.
pub const CAP_TIMEPERFRAME: u32 = 0x1000;

/// The driver says that the frame is corrupt.
pub const BUF_FLAG_ERROR: u32 = 0x40;
/// The last buffer of the stream.
pub const BUF_FLAG_LAST: u32 = 0x10_0000;
/// Where the timestamp comes from.
pub const BUF_FLAG_TIMESTAMP_MASK: u32 = 0xe000;
/// From `CLOCK_MONOTONIC`.
pub const BUF_FLAG_TIMESTAMP_MONOTONIC: u32 = 0x2000;

/// The format is compressed.
pub const FMT_FLAG_COMPRESSED: u32 = 1;
/// The format is made by libv4l from another.
pub const FMT_FLAG_EMULATED: u32 = 2;

/// Whole frames.
pub const FIELD_NONE: u32 = 1;
/// Both fields in one buffer, line by line; the orders of the fields differ.
pub const FIELD_INTERLACED: [u32; 3] = [4, 8, 9];

/// End of the stream.
pub const EVENT_EOS: u32 = 2;
/// What the source delivers has changed.
pub const EVENT_SOURCE_CHANGE: u32 = 5;

/// `EXPOSURE_AUTO`: 0 automatic, 1 manual.
pub const CID_EXPOSURE_AUTO: u32 = 0x009a_0901;
/// Exposure in units of 100 us.
pub const CID_EXPOSURE_ABSOLUTE: u32 = 0x009a_0902;
/// Gain is chosen by the device.
pub const CID_AUTOGAIN: u32 = 0x0098_0912;
/// Gain, in the device's own unit.
pub const CID_GAIN: u32 = 0x0098_0913;
/// Mains flicker: 0 off, 1 50 Hz, 2 60 Hz, 3 automatic.
pub const CID_POWER_LINE: u32 = 0x0098_0918;
/// The control is there but not in use.
pub const CTRL_FLAG_DISABLED: u32 = 1;

/// `v4l2_capability`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Capability {
    pub driver: [u8; 16],
    pub card: Text32,
    pub bus_info: Text32,
    pub version: u32,
    pub capabilities: u32,
    pub device_caps: u32,
    pub reserved: [u32; 3],
}

/// A text of the kernel, ended by a zero.
pub type Text32 = [u8; 32];

/// `v4l2_fmtdesc`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct FmtDesc {
    pub index: u32,
    pub buf_type: u32,
    pub flags: u32,
    pub description: Text32,
    pub pixelformat: u32,
    pub mbus_code: u32,
    pub reserved: [u32; 3],
}

/// `v4l2_frmsizeenum`; the union is six numbers.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct FrameSizeEnum {
    pub index: u32,
    pub pixel_format: u32,
    pub kind: u32,
    /// Discrete: width, height. Else: min, max, step of width, then of height.
    pub size: [u32; 6],
    pub reserved: [u32; 2],
}

/// `v4l2_fract`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Fract {
    pub numerator: u32,
    pub denominator: u32,
}

/// `v4l2_frmivalenum`; the union is three fractions.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct FrameIntervalEnum {
    pub index: u32,
    pub pixel_format: u32,
    pub width: u32,
    pub height: u32,
    pub kind: u32,
    /// Discrete: the interval. Else: min, max, step.
    pub interval: [Fract; 3],
    pub reserved: [u32; 2],
}

/// Kind of an enumerated size or interval: one value.
pub const KIND_DISCRETE: u32 = 1;

/// `v4l2_pix_format`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct PixFormat {
    pub width: u32,
    pub height: u32,
    pub pixelformat: u32,
    pub field: u32,
    pub bytesperline: u32,
    pub sizeimage: u32,
    pub colorspace: u32,
    pub private: u32,
    pub flags: u32,
    pub ycbcr_enc: u32,
    pub quantization: u32,
    pub xfer_func: u32,
}

/// `v4l2_plane_pix_format`, which the kernel packs.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, packed)]
pub struct PlanePixFormat {
    pub sizeimage: u32,
    pub bytesperline: u32,
    pub reserved: [u16; 6],
}

/// `v4l2_pix_format_mplane`, which the kernel packs.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, packed)]
pub struct PixFormatMplane {
    pub width: u32,
    pub height: u32,
    pub pixelformat: u32,
    pub field: u32,
    pub colorspace: u32,
    pub plane_fmt: [PlanePixFormat; MAX_PLANES],
    pub num_planes: u8,
    pub flags: u8,
    pub ycbcr_enc: u8,
    pub quantization: u8,
    pub xfer_func: u8,
    pub reserved: [u8; 7],
}

/// `v4l2_format`
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Format {
    pub buf_type: u32,
    pub fmt: FormatUnion,
}

/// Its union, aligned as the pointers in its other members are.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub union FormatUnion {
    pub pix: PixFormat,
    pub pix_mp: PixFormatMplane,
    pub raw: [u8; 200],
}

/// `v4l2_streamparm` with `v4l2_captureparm` in its union.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct StreamParm {
    pub buf_type: u32,
    pub capability: u32,
    pub capturemode: u32,
    pub timeperframe: Fract,
    pub rest: [u32; 46],
}

/// `v4l2_requestbuffers`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct RequestBuffers {
    pub count: u32,
    pub buf_type: u32,
    pub memory: u32,
    pub capabilities: u32,
    pub reserved: u32,
}

/// `v4l2_plane`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Plane {
    pub bytesused: u32,
    pub length: u32,
    /// `mem_offset` in the low half of the union.
    pub m: u64,
    pub data_offset: u32,
    pub reserved: [u32; 11],
}

/// `v4l2_buffer`
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Buffer {
    pub index: u32,
    pub buf_type: u32,
    pub bytesused: u32,
    pub flags: u32,
    pub field: u32,
    pub timestamp: libc::timeval,
    pub timecode: [u32; 4],
    pub sequence: u32,
    pub memory: u32,
    pub m: BufferMemory,
    pub length: u32,
    pub reserved: [u32; 2],
}

/// Where a buffer's memory is.
#[derive(Clone, Copy)]
#[repr(C)]
pub union BufferMemory {
    pub offset: u32,
    pub planes: *mut Plane,
    pub raw: u64,
}

/// `v4l2_event`; of its union the first number is read.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Event {
    pub kind: u32,
    pub padding: u32,
    pub data: [u32; 16],
    pub pending: u32,
    pub sequence: u32,
    pub timestamp: libc::timespec,
    pub id: u32,
    pub reserved: [u32; 9],
}

/// `v4l2_event_subscription`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct EventSubscription {
    pub kind: u32,
    pub id: u32,
    pub flags: u32,
    pub reserved: [u32; 5],
}

/// `v4l2_control`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Control {
    pub id: u32,
    pub value: i32,
}

/// `v4l2_queryctrl`
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct QueryCtrl {
    pub id: u32,
    pub kind: u32,
    pub name: Text32,
    pub minimum: i32,
    pub maximum: i32,
    pub step: i32,
    pub default_value: i32,
    pub flags: u32,
    pub reserved: [u32; 2],
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<Capability>() == 104);
    assert!(size_of::<FmtDesc>() == 64);
    assert!(size_of::<FrameSizeEnum>() == 44);
    assert!(size_of::<FrameIntervalEnum>() == 52);
    assert!(size_of::<PixFormat>() == 48);
    assert!(size_of::<PlanePixFormat>() == 20);
    assert!(size_of::<PixFormatMplane>() == 192);
    assert!(size_of::<Format>() == 208);
    assert!(std::mem::offset_of!(Format, fmt) == 8);
    assert!(size_of::<StreamParm>() == 204);
    assert!(size_of::<RequestBuffers>() == 20);
    assert!(size_of::<Plane>() == 64);
    assert!(size_of::<Buffer>() == 88);
    assert!(std::mem::offset_of!(Buffer, timestamp) == 24);
    assert!(std::mem::offset_of!(Buffer, sequence) == 56);
    assert!(std::mem::offset_of!(Buffer, m) == 64);
    assert!(std::mem::offset_of!(Buffer, length) == 72);
    assert!(size_of::<Event>() == 136);
    assert!(size_of::<EventSubscription>() == 32);
    assert!(size_of::<Control>() == 8);
    assert!(size_of::<QueryCtrl>() == 68);
};
