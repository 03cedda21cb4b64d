//! Frame to input tensor.
use super::Frame;
use crate::engine::bundle::InputSpec;
/// Converter.
#[derive(Debug)]
pub struct Converter;
impl Converter {
    /// New.
    #[must_use]
    pub fn new(_: &InputSpec) -> Self {
        Self
    }
    /// Convert.
    ///
    /// # Errors
    /// Never.
    pub fn convert(&mut self, _: &Frame, _: &mut [f32]) -> Result<(), String> {
        Ok(())
    }
}
