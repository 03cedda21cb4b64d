//! The vector of machines without a path of their own, and the reference that
//! the others are compared with: eight lanes of plain arithmetic.

use super::lanes::{EXP2_CENTRED, Lanes};

/// Eight lanes.
#[derive(Clone, Copy)]
pub(super) struct Portable([f32; 8]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let mut out = self;
        for (a, b) in out.0.iter_mut().zip(other.0) {
            *a = f(*a, b);
        }
        out
    }

    #[inline(always)]
    fn map(self, f: impl Fn(f32) -> f32) -> Self {
        let mut out = self;
        for a in &mut out.0 {
            *a = f(*a);
        }
        out
    }
}

/// `2^t` for t in -126..=126; NaN for NaN.
#[inline(always)]
fn exp2(t: f32) -> f32 {
    let whole = t.round_ties_even();
    let f = t - whole;
    let p = EXP2_CENTRED.iter().fold(0.0, |p, c| p * f + c);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number in -126..=126, or 0 for NaN"
    )]
    let power = f32::from_bits(((whole as i32 + 127) as u32) << 23);
    (p * f + 1.0) * power
}

// SAFETY: `load` and `store` touch eight elements; plain arithmetic exists
// everywhere.
unsafe impl Lanes for Portable {
    const N: usize = 8;

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller's pointer is good for eight elements.
        Self(unsafe { p.cast::<[f32; 8]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller's pointer is good for eight elements.
        unsafe { p.cast::<[f32; 8]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 8])
    }

    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        self.zip(b, |a, b| a * b).zip(c, |ab, c| ab + c)
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    unsafe fn clamp(self, lo: Self, hi: Self) -> Self {
        let floored = self.zip(lo, |x, lo| if x < lo { lo } else { x });
        floored.zip(hi, |x, hi| if x > hi { hi } else { x })
    }

    #[inline(always)]
    unsafe fn reciprocal(self) -> Self {
        self.map(|x| 1.0 / x)
    }

    #[inline(always)]
    unsafe fn exp2(self) -> Self {
        self.map(exp2)
    }
}
