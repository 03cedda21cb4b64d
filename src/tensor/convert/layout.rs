//! Where the samples of each pixel format lie within its surfaces.

use super::super::PixelFormat;

/// Rows of bytes that are resized together vertically.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surface {
    /// Rows.
    pub(super) rows: usize,
    /// Rows per row of the frame: 1 or 0.5.
    pub(super) row_scale: f64,
}

/// One colour component within a [`Surface`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Component {
    /// Index of its surface.
    pub(super) surface: usize,
    /// Its first byte in a row.
    pub(super) offset: usize,
    /// Bytes from one sample to the next.
    pub(super) step: usize,
    /// Samples in a row.
    pub(super) samples: usize,
    /// Samples per pixel: 1 or 0.5.
    pub(super) scale: f64,
}

/// Surfaces and components (Y, U, V or R, G, B; Y alone for grey) of a frame.
pub(super) type Layout = (Vec<Surface>, Vec<Component>);

/// True where the components are R, G and B.
pub(super) fn is_rgb(format: PixelFormat) -> bool {
    matches!(format, PixelFormat::Rgb24 | PixelFormat::Bgr24)
}

/// The layout of a `width` x `height` frame.
pub(super) fn layout(format: PixelFormat, width: usize, height: usize) -> Layout {
    match format {
        PixelFormat::Gray8 => planar(width, height, &[]),
        PixelFormat::Rgb24 | PixelFormat::Yuv24 => packed(width, height, [0, 1, 2]),
        PixelFormat::Bgr24 => packed(width, height, [2, 1, 0]),
        PixelFormat::Yuyv => pairs(width, height, [0, 1, 3]),
        PixelFormat::Uyvy => pairs(width, height, [1, 0, 2]),
        PixelFormat::Nv12 => half_planar(width, height, 2),
        PixelFormat::Nv16 => half_planar(width, height, 1),
        PixelFormat::I420 => planar(width, height, &[(2, 2); 2]),
        PixelFormat::I422 => planar(width, height, &[(2, 1); 2]),
        PixelFormat::I444 => planar(width, height, &[(1, 1); 2]),
    }
}

fn surface(height: usize, every: usize) -> Surface {
    Surface {
        rows: height.div_ceil(every),
        row_scale: share(every),
    }
}

fn share(every: usize) -> f64 {
    if every == 2 { 0.5 } else { 1.0 }
}

/// A full plane of luma, then planes with one sample per (columns, rows).
fn planar(width: usize, height: usize, chroma: &[(usize, usize)]) -> Layout {
    let (mut surfaces, mut components) = (Vec::new(), Vec::new());
    for (columns, rows) in [(1, 1)].iter().chain(chroma) {
        let samples = width.div_ceil(*columns);
        components.push(Component {
            surface: surfaces.len(),
            offset: 0,
            step: 1,
            samples,
            scale: share(*columns),
        });
        surfaces.push(surface(height, *rows));
    }
    (surfaces, components)
}

/// Luma plane, then a plane of U and V in turn at half width, with a row for
/// `every` rows of luma.
fn half_planar(width: usize, height: usize, every: usize) -> Layout {
    let (mut surfaces, mut components) = planar(width, height, &[]);
    let samples = width.div_ceil(2);
    surfaces.push(surface(height, every));
    components.extend([0, 1].map(|offset| Component {
        surface: 1,
        offset,
        step: 2,
        samples,
        scale: 0.5,
    }));
    (surfaces, components)
}

/// Three bytes a pixel.
fn packed(width: usize, height: usize, offsets: [usize; 3]) -> Layout {
    let components = offsets.map(|offset| Component {
        surface: 0,
        offset,
        step: 3,
        samples: width,
        scale: 1.0,
    });
    (vec![surface(height, 1)], components.into())
}

/// Four bytes two pixels; `offsets` of the first Y, of U and of V.
fn pairs(width: usize, height: usize, [y, u, v]: [usize; 3]) -> Layout {
    let pairs = width.div_ceil(2);
    let component = |offset, step, samples, scale| Component {
        surface: 0,
        offset,
        step,
        samples,
        scale,
    };
    let components = vec![
        component(y, 2, width, 1.0),
        component(u, 4, pairs, 0.5),
        component(v, 4, pairs, 0.5),
    ];
    (vec![surface(height, 1)], components)
}
