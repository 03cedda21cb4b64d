//! What an 8-bit kernel asks of vector registers.
//!
//! Guarantees: `dot` is exact (no product or sum of it saturates), rounding is to
//! the nearest, ties to even: every implementation gives the same bits.

/// Where results end up: in stored units, that is quantised values less 128 where
/// the implementation stores signed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range8 {
    /// What 0.0 is stored as.
    pub zero: i32,
    /// Least result.
    pub lo: i32,
    /// Largest result.
    pub hi: i32,
}

/// Vectors of `N` 32-bit sums and of `4 N` bytes.
///
/// In *zipped order* lane `i` of vector `j` holds channel `16 (i / 4) + 4 j + i % 4`
/// of `4 N` channels: what interleaving within 128 bits gives.
///
/// # Safety
/// Each method touches exactly the elements that it names at its pointers, which need
/// not be aligned. Every method may be called only where the instructions of the
/// implementation exist; the functions that are generic over `Bytes` are inlined into
/// one that enables them.
pub(super) unsafe trait Bytes: Copy {
    /// Sums in a vector.
    const N: usize;
    /// Output pixels of a depthwise tile.
    const TILE: usize;
    /// A quantised value is stored as itself with these bits flipped: 0, or 128 where
    /// bytes are signed.
    const FLIP: u8;
    /// `4 N` bytes.
    type B: Copy;
    /// `N` sums.
    type I: Copy;
    /// `N` floats.
    type F: Copy;

    /// `4 N` stored values or weights.
    ///
    /// # Safety
    /// `p` is good for reads of `4 N` bytes; the processor has the instructions.
    unsafe fn load(p: *const u8) -> Self::B;
    /// The 4 stored values at `p`, `N` times.
    ///
    /// # Safety
    /// `p` is good for reads of 4 bytes; the processor has the instructions.
    unsafe fn quad(p: *const u8) -> Self::B;
    /// `4 N` zero bytes.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn zero() -> Self::B;
    /// `N` sums.
    ///
    /// # Safety
    /// `p` is good for reads of `N` elements; the processor has the instructions.
    unsafe fn load_sums(p: *const i32) -> Self::I;
    /// `N` floats.
    ///
    /// # Safety
    /// `p` is good for reads of `N` elements; the processor has the instructions.
    unsafe fn load_floats(p: *const f32) -> Self::F;
    /// To `N` floats.
    ///
    /// # Safety
    /// `p` is good for writes of `N` elements; the processor has the instructions.
    unsafe fn store_floats(v: Self::F, p: *mut f32);
    /// The same sum in every lane.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn splat_sum(value: i32) -> Self::I;
    /// The same float in every lane.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn splat(value: f32) -> Self::F;
    /// `acc` plus, in each lane, the four stored values of `a` there times the four
    /// signed weights of `w` there.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn dot(acc: Self::I, a: Self::B, w: Self::B) -> Self::I;
    /// Bytes of four rows as quadruples, in zipped order.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn zip(rows: [Self::B; 4]) -> [Self::B; 4];
    /// `4 N` stored values as sums, in zipped order.
    ///
    /// # Safety
    /// `p` is good for reads of `4 N` bytes; the processor has the instructions.
    unsafe fn widen(p: *const u8) -> [Self::I; 4];
    /// Byte `j` of `N` quadruples in vector `j`.
    ///
    /// # Safety
    /// `p` is good for reads of `N` elements; the processor has the instructions.
    unsafe fn split(p: *const u32) -> [Self::I; 4];
    /// The sum of two sums.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn add_sums(a: Self::I, b: Self::I) -> Self::I;
    /// As floats, rounded to the nearest.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn float(v: Self::I) -> Self::F;
    /// The sum, rounded once.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F;
    /// The product, rounded once.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F;
    /// The quotient, rounded once.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F;
    /// Held within `lo..=hi`; NaN becomes `hi`.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn clamp(v: Self::F, lo: f32, hi: f32) -> Self::F;
    /// The nearest whole numbers, ties to even; what lies outside -2^31..2^31 is any.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn round(v: Self::F) -> Self::I;
    /// `v + zero` held within `lo..=hi`: zipped sums to `4 N` stored values.
    ///
    /// # Safety
    /// `p` is good for writes of `4 N` bytes; the processor has the instructions.
    unsafe fn store4(v: [Self::I; 4], range: &Range8, p: *mut u8);
    /// The same for one vector: `N` stored values.
    ///
    /// # Safety
    /// `p` is good for writes of `N` bytes; the processor has the instructions.
    unsafe fn store1(v: Self::I, range: &Range8, p: *mut u8);
    /// The same for `N` quadruples, byte `j` of each from vector `j`.
    ///
    /// # Safety
    /// `p` is good for writes of `N` elements; the processor has the instructions.
    unsafe fn store_quads(v: [Self::I; 4], range: &Range8, p: *mut u32);
}

/// `acc * scale` as whole numbers.
///
/// # Safety
/// The processor has the instructions of `S`.
#[inline(always)]
pub(super) unsafe fn requantise<S: Bytes>(acc: S::I, scale: S::F) -> S::I {
    // SAFETY: the caller's contract is handed on.
    unsafe { S::round(S::mul(S::float(acc), scale)) }
}

/// The channel at lane `i` of vector `j` in zipped order.
pub(in crate::engine::native::int8) fn zipped(j: usize, i: usize) -> usize {
    16 * (i / 4) + 4 * j + i % 4
}
