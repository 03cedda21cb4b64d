//! The driver's buffers, mapped.
//!
//! Guarantees: a mapping lives until the last frame that refers to it is gone,
//! also when the device has been closed, unplugged or opened anew; no frame is
//! copied. Costs one mapping a plane at the start, nothing afterwards.

use super::abi::BufType;
use super::answers::{DriverFormat, PlaneMemory};
use super::formats::CameraFormat;
use super::node::Node;
use crate::tensor::{Lent, LentSurface, Memory, PixelFormat};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::Arc;

/// One mapped plane of one buffer.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<c_void>,
    length: usize,
}

// SAFETY: the memory is ours until `drop`, and nobody on our side writes to it.
unsafe impl Send for Mapping {}
// SAFETY: as above; shared references only read.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(node: &Node, plane: PlaneMemory) -> io::Result<Self> {
        let length = plane.length as usize;
        let size = NonZeroUsize::new(length).ok_or(io::ErrorKind::InvalidData)?;
        // SAFETY: a new mapping at an address that the kernel chooses.
        let start = unsafe {
            mmap(
                None,
                size,
                ProtFlags::PROT_READ,
                MapFlags::MAP_SHARED,
                node.file(),
                plane.offset.into(),
            )
        }?;
        Ok(Self { start, length })
    }
}

impl Memory for Mapping {
    fn bytes(&self) -> &[u8] {
        // SAFETY: mapped for `length` bytes until `drop`. The driver writes to it
        // only while the buffer is queued, and `Stream` queues a buffer only while
        // it holds the one slot that refers to it; after the device has gone the
        // pages stay.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and no reference outlives `self`.
        let done = unsafe { munmap(self.start, self.length) };
        debug_assert!(done.is_ok(), "a whole mapping can be unmapped");
    }
}

/// Maps buffer `index`, one mapping a plane.
pub fn map(node: &Node, buf_type: BufType, index: u32) -> io::Result<Vec<Arc<Mapping>>> {
    let (planes, count) = node.query_buffer(buf_type, index)?;
    planes[..count]
        .iter()
        .map(|&plane| Mapping::new(node, plane).map(Arc::new))
        .collect()
}

/// Where the surfaces of a raw format lie: (plane, first byte, bytes a row).
pub type Place = (usize, usize, usize);

/// Where the driver puts the surfaces of its format; `None` where that makes no
/// sense.
#[must_use]
pub fn places(camera: CameraFormat, driver: &DriverFormat) -> Option<Vec<Place>> {
    let pixels = camera.pixels()?;
    let sizes = pixels.surfaces(driver.width, driver.height)?;
    let sizes = sizes.iter().filter(|size| size.rows > 0);
    if matches!(camera, CameraFormat::Split(_)) {
        let place = |(plane, size): (usize, &crate::tensor::SurfaceSize)| {
            let stride = (driver.bytesperline[plane] as usize).max(size.row_bytes);
            (plane < driver.planes).then_some((plane, 0, stride))
        };
        return sizes.enumerate().map(place).collect();
    }
    let luma = driver.bytesperline[0] as usize;
    let mut offset = 0_usize;
    let mut places = Vec::with_capacity(3);
    for (index, size) in sizes.enumerate() {
        let stride = if index == 0 {
            luma
        } else {
            chroma_stride(pixels, luma)
        };
        let stride = stride.max(size.row_bytes);
        places.push((0, offset, stride));
        offset = offset.checked_add(stride.checked_mul(size.rows)?)?;
    }
    Some(places)
}

/// In one buffer, the rows of chroma are as long in proportion as they are wide.
fn chroma_stride(pixels: PixelFormat, luma: usize) -> usize {
    match pixels {
        PixelFormat::I420 | PixelFormat::I422 => luma / 2,
        _ => luma,
    }
}

/// The frame that a buffer holds.
#[must_use]
pub fn lend(planes: &[Arc<Mapping>], places: &[Place]) -> Option<Lent> {
    let surface = |&(plane, offset, stride): &Place| {
        let memory = planes.get(plane)?;
        Some(LentSurface {
            bytes: offset..memory.length,
            memory: memory.clone(),
            stride,
        })
    };
    places
        .iter()
        .map(surface)
        .collect::<Option<_>>()
        .map(Lent::new)
}

/// Bytes that a whole frame takes in each plane.
#[must_use]
pub fn least_bytes(camera: CameraFormat, driver: &DriverFormat, places: &[Place]) -> [usize; 8] {
    let mut least = [0; 8];
    let sizes = camera
        .pixels()
        .and_then(|pixels| pixels.surfaces(driver.width, driver.height))
        .unwrap_or_default();
    for (&(plane, offset, stride), size) in places.iter().zip(&sizes) {
        least[plane] = offset + stride * size.rows.saturating_sub(1) + size.row_bytes;
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    fn driver(bytesperline: &[u32]) -> DriverFormat {
        let mut driver = DriverFormat {
            width: 6,
            height: 4,
            planes: bytesperline.len(),
            ..DriverFormat::default()
        };
        driver.bytesperline[..bytesperline.len()].copy_from_slice(bytesperline);
        driver
    }

    #[test]
    fn padded_rows_move_the_planes_behind_them() {
        let nv12 = CameraFormat::Raw(PixelFormat::Nv12);
        let told = driver(&[8]);
        let places = places(nv12, &told).unwrap();
        assert_eq!(places, [(0, 0, 8), (0, 32, 8)]);
        assert_eq!(least_bytes(nv12, &told, &places)[0], 32 + 8 + 6);
        let i420 = super::places(CameraFormat::Raw(PixelFormat::I420), &told);
        assert_eq!(i420.unwrap(), [(0, 0, 8), (0, 32, 4), (0, 40, 4)]);
    }

    #[test]
    fn split_planes_have_strides_of_their_own() {
        let nv12m = CameraFormat::Split(PixelFormat::Nv12);
        let told = driver(&[8, 10]);
        let places = places(nv12m, &told).unwrap();
        assert_eq!(places, [(0, 0, 8), (1, 0, 10)]);
        assert_eq!(least_bytes(nv12m, &told, &places)[..2], [30, 16]);
        assert_eq!(super::places(nv12m, &driver(&[8])), None);
    }

    #[test]
    fn a_driver_that_does_not_tell_its_rows_packs_them() {
        let told = driver(&[0]);
        let yuyv = CameraFormat::Raw(PixelFormat::Yuyv);
        assert_eq!(places(yuyv, &told).unwrap(), [(0, 0, 12)]);
    }
}
