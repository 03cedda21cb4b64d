//! What others do with the clocks: one small file a method, each with its source.
//!
//! Guarantees: constants are those of the publication or of the kernel's source;
//! what neither says is named in the module and was chosen in the method's favour.
//! Not guaranteed: what their authors would get on a board.

pub mod e4;
pub mod fixed;
mod governors;
mod network;
mod ring;
mod ztt;

pub use governors::Governors;
pub use ring::Ring;
pub use ztt::Ztt;
