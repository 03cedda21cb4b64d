//! What a kernel asks of a vector register, and the mathematics written once
//! over it.
//!
//! Guarantees: every operation acts lane by lane, so that a lane that holds
//! padding never reaches another. NaN goes through `clamp`. Rounding differs
//! between implementations (fused or separate multiply-add) and nothing else.

/// One vector of `N` f32 lanes.
///
/// # Safety
/// `load` and `store` touch exactly `N` elements at the pointer, which need not
/// be aligned. Every method may be called only where the instructions of the
/// implementation exist; the functions that are generic over `Lanes` are
/// inlined into one that enables them.
pub(super) unsafe trait Lanes: Copy {
    /// Lanes.
    const N: usize;

    /// `N` elements from `p` on.
    ///
    /// # Safety
    /// `p` is good for reads of `N` elements; the processor has the instructions.
    unsafe fn load(p: *const f32) -> Self;
    /// To `N` elements from `p` on.
    ///
    /// # Safety
    /// `p` is good for writes of `N` elements; the processor has the instructions.
    unsafe fn store(self, p: *mut f32);
    /// The same value in every lane.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn splat(value: f32) -> Self;
    /// `self * b + c`.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;
    /// `self + other`.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn add(self, other: Self) -> Self;
    /// `self * other`.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn mul(self, other: Self) -> Self;
    /// `self` held between `lo` and `hi`; NaN stays NaN.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn clamp(self, lo: Self, hi: Self) -> Self;
    /// `1 / self` within two units in the last place, for `self` in
    /// `1..=2^126`.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn reciprocal(self) -> Self;
    /// Asks for the cache line at `p`, which need not be a valid address.
    ///
    /// # Safety
    /// The processor has the instructions.
    #[inline(always)]
    unsafe fn prefetch(p: *const f32) {
        let _ = p;
    }
    /// `2^self` within 1e-7 (relative), for `self` in `-126..=126`.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn exp2(self) -> Self;
}

/// Coefficients of a minimax polynomial of `2^f` for f in -0.5..=0.5 (Cephes'
/// `exp2f`, highest power first, without the constant 1).
pub(super) const EXP2_CENTRED: [f32; 6] = [
    1.535_336_2e-4,
    1.339_887_4e-3,
    9.618_437e-3,
    5.550_332_5e-2,
    2.402_264_8e-1,
    6.931_472e-1,
];

/// `1 / (1 + e^-x)`; 0 and 1 in the limits, NaN for NaN.
///
/// # Safety
/// The processor has the instructions of `S`.
#[inline(always)]
pub(super) unsafe fn sigmoid<S: Lanes>(x: S) -> S {
    // SAFETY: the caller's contract is handed on.
    unsafe {
        let t = x.mul(S::splat(-std::f32::consts::LOG2_E));
        // Beyond these the quotient is 0 or 1 in f32 anyway.
        let t = t.clamp(S::splat(-126.0), S::splat(126.0));
        S::splat(1.0).add(t.exp2()).reciprocal()
    }
}

/// An activation that is not a mere clamp.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::engine::native) enum Curve {
    /// `x / (1 + e^-x)`.
    Silu,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// `max(0, min(1, alpha * x + beta))`.
    HardSigmoid {
        /// Slope.
        alpha: f32,
        /// Offset.
        beta: f32,
    },
    /// `x * max(0, min(1, x / 6 + 1/2))`.
    HardSwish,
}

/// `max(0, min(1, alpha * x + beta))`.
///
/// # Safety
/// The processor has the instructions of `S`.
#[inline(always)]
unsafe fn hard_sigmoid<S: Lanes>(x: S, alpha: f32, beta: f32) -> S {
    // SAFETY: the caller's contract is handed on.
    unsafe {
        x.mul_add(S::splat(alpha), S::splat(beta))
            .clamp(S::splat(0.0), S::splat(1.0))
    }
}

/// `curve` of `x`.
///
/// # Safety
/// The processor has the instructions of `S`.
#[inline(always)]
pub(super) unsafe fn apply<S: Lanes>(curve: Curve, x: S) -> S {
    // SAFETY: the caller's contract is handed on.
    unsafe {
        match curve {
            Curve::Silu => x.mul(sigmoid(x)),
            Curve::Sigmoid => sigmoid(x),
            Curve::HardSigmoid { alpha, beta } => hard_sigmoid(x, alpha, beta),
            Curve::HardSwish => x.mul(hard_sigmoid(x, 1.0 / 6.0, 0.5)),
        }
    }
}
