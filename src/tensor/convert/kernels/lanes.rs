//! What the kernels ask of an instruction set.

#[cfg_attr(
    not(target_arch = "x86_64"),
    expect(dead_code, reason = "windows are for wide permutes")
)]
/// Filter weights of one axis as the kernels read them, for groups of `N`
/// outputs.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct RawTaps {
    /// First word of each output, `[groups][N]`.
    pub starts: *const u32,
    /// Two weights of 1/16384 for each two words, `[groups][pairs][N]`.
    pub weights: *const [i16; 2],
    /// Pairs of words an output takes.
    pub pairs: usize,
    /// Words of a window (only x86 has such); 0 where no window holds the words of a group.
    pub window: usize,
    /// The first word of each group's window.
    pub windows: *const u32,
    /// Where an output's words lie within its group's window, `[groups][N][2]`.
    pub places: *const [u16; 2],
}

/// `N` floats, and `2 * N` words that come before them.
///
/// # Safety
/// `N` and the pointers' extents are those documented. All is sound only on a
/// processor that has the instructions.
pub(in super::super) unsafe trait Lanes: Copy {
    /// Outputs at a time, at most 16.
    const N: usize;
    /// Words that a window may have, the fewest first.
    const WINDOWS: &'static [usize];
    /// `2 * N` words.
    type Words: Copy;

    /// All words the same.
    unsafe fn words(word: u16) -> Self::Words;
    /// `2 * N` bytes, each times 256.
    unsafe fn bytes(p: *const u8) -> Self::Words;
    /// `4 * N` bytes, each times 256: the even ones, the odd ones.
    unsafe fn halves(p: *const u8) -> (Self::Words, Self::Words);
    /// `sum + (words * weight >> 16)`.
    unsafe fn weigh(sum: Self::Words, words: Self::Words, weight: Self::Words) -> Self::Words;
    /// Writes `2 * N` words.
    unsafe fn put(words: Self::Words, p: *mut u16);
    /// `6 * N` words, every third together.
    unsafe fn thirds(p: *const u16) -> [Self::Words; 3];
    /// The weighted sums of a group's outputs, times 2^21.
    unsafe fn filter(row: *const u16, taps: &RawTaps, group: usize) -> Self;

    /// All floats the same.
    unsafe fn splat(value: f32) -> Self;
    /// `self * b + c`.
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;
    /// `(self - b) / c`.
    unsafe fn sub_div(self, b: Self, c: Self) -> Self;
    /// Within 0..=255.
    unsafe fn clamp(self) -> Self;
    /// Writes `N` floats.
    unsafe fn store(self, p: *mut f32);
    /// Writes `N` bytes, rounded to the nearest (even on a tie), saturated.
    unsafe fn store_i8(self, p: *mut i8);
    /// Asks for the cache line at `p`, which may be anywhere.
    unsafe fn prefetch(p: *const u8);
}
