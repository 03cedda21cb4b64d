//! Generated scenes: labelled clips, endless streams and a synthetic camera.
//!
//! An articulated figure performs one of eight [`Action`]s in front of clutter.
//! Many single frames fit several actions (everybody stands upright between two
//! squats), so that telling them apart takes time. A *difficulty* in `[0, 1]`
//! lowers the contrast and the size of the figure and raises clutter, moving
//! distractors, occluders, camera shake, blur and noise.
//!
//! Guarantees: clip `i` of seed `S` is drawn from [`rng::mix`]`(S, i)` alone, so
//! seeds share no clip; the same numbers give the same bytes on any IEEE 754
//! machine (no libm function is called). Motion is a function of time in seconds:
//! the frame at time `t` is the same at any frame rate but for sensor noise. The
//! world is square and centred: a wider or taller frame shows more of it at the
//! sides, so its centred square crop is the square clip's view.
//!
//! Cost: about 0.1 ms of CPU for a 96x96 frame, 0.5 ms for 320x240, on one core
//! of a desktop machine; no allocation after the first.
//!
//! ```
//! use e4::source::generator::{Painter, Script};
//!
//! let mut painter = Painter::new(96, 96);
//! let clip = Script::clip(1, 0, None);
//! let rgb = painter.paint(&clip, 0.5, 5);
//! assert_eq!(rgb.len(), 96 * 96 * 3);
//! println!("{}", clip.performance().action.name());
//! ```

pub mod backdrop;
pub mod blur;
pub mod camera;
pub mod painter;
pub mod pose;
pub mod raster;
pub mod rng;
mod rolling;
pub mod scene;
pub mod script;
pub mod view;
pub mod y4m;
pub mod yuv;

pub use camera::{CameraError, CameraOptions, Generator};
pub use painter::Painter;
pub use pose::Action;
pub use script::{Moment, Script};

/// Names of the classes, in the order of their numbers.
#[must_use]
pub fn class_names() -> Vec<String> {
    let names = Action::ALL.iter().map(|action| action.name().to_owned());
    names.collect()
}
