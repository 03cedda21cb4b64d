//! One value at a time: maps of fewer pixels than a vector has lanes.

use super::super::super::kernels::Offsets;
use super::Scale8;

/// [`import`](super::Kernels8::import) for fewer pixels than a vector has lanes.
pub(super) fn import_few(
    planes: &[f32],
    channels: usize,
    map: &mut [u8],
    off: &Offsets,
    (scale, flip): (Scale8, u8),
) {
    for (p, at) in off.as_slice().iter().enumerate() {
        for c in 0..channels.div_ceil(4) * 4 {
            let x = planes[c.min(channels - 1) * off.len() + p] / scale.step;
            map[*at as usize + c] = quantised(x, scale.zero) ^ flip;
        }
    }
}

/// `scaled` rounded and moved to `zero`; NaN becomes the largest.
pub(in crate::engine::native::int8) fn quantised(scaled: f32, zero: u8) -> u8 {
    let scaled = if scaled < 4096.0 { scaled } else { 4096.0 };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "held within a byte"
    )]
    let value = (scaled.round_ties_even() + f32::from(zero)).clamp(0.0, 255.0) as u8;
    value
}

/// [`export`](super::Kernels8::export) for fewer pixels than a vector has lanes.
pub(super) fn export_few(
    map: &[u8],
    off: &Offsets,
    (scale, flip): (Scale8, u8),
    channels: usize,
    planes: &mut [f32],
) {
    for (p, at) in off.as_slice().iter().enumerate() {
        for c in 0..channels {
            let value = map[*at as usize + c] ^ flip;
            planes[c * off.len() + p] = dequantised(value, scale);
        }
    }
}

/// What a quantised value stands for.
fn dequantised(value: u8, scale: Scale8) -> f32 {
    f32::from(i16::from(value) - i16::from(scale.zero)) * scale.step
}
