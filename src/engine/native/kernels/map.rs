//! Passes over vectors in a row: activation, sum, addition, scaling.

use super::lanes::{Curve, Lanes, apply};

/// Applies `curve` to `n` vectors at `p` in place and adds them up at `sum`
/// (null: not wanted).
///
/// # Safety
/// The processor has the instructions of `S`; `p` is good for reads and
/// writes of `n` vectors and `sum`, unless null, of one vector outside them; nobody
/// else reads or writes either meanwhile.
#[inline(always)]
pub(super) unsafe fn bend_and_sum<S: Lanes>(
    p: *mut f32,
    n: usize,
    curve: Option<Curve>,
    sum: *mut f32,
) {
    macro_rules! each {
        ($v:ident => $value:expr) => {{
            // SAFETY: the caller's pointers are good for `n` vectors and one.
            unsafe {
                let mut total = S::splat(0.0);
                for i in 0..n {
                    let at = p.add(i * S::N);
                    let $v = S::load(at);
                    let value = $value;
                    value.store(at);
                    total = total.add(value);
                }
                if !sum.is_null() {
                    S::load(sum).add(total).store(sum);
                }
            }
        }};
    }
    match curve {
        None => each!(v => v),
        Some(Curve::Silu) => each!(v => apply(Curve::Silu, v)),
        Some(Curve::HardSwish) => each!(v => apply(Curve::HardSwish, v)),
        Some(other) => each!(v => apply(other, v)),
    }
}

/// Two operands of a pass of `n` vectors; its pointers are good for them.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawMap {
    /// First operand.
    pub a: *const f32,
    /// Second operand; null for passes with one.
    pub b: *const f32,
    /// Result.
    pub out: *mut f32,
    /// Vectors.
    pub n: usize,
    /// Bounds of the result.
    pub clamp: (f32, f32),
    /// Applied after the clamp.
    pub curve: Option<Curve>,
}

/// `out = act(a + b)`, or `act(a)` where `b` is null.
///
/// # Safety
/// The processor has the instructions of `S`; `a`, and `b` unless null, are good
/// for reads and `out` for writes of `n` vectors (`out` is also read again where there
/// is a curve); each operand is `out` itself or lies outside it.
#[inline(always)]
pub(super) unsafe fn add<S: Lanes>(m: &RawMap) {
    // SAFETY: the caller's pointers are good for `n` vectors.
    unsafe {
        let (lo, hi) = (S::splat(m.clamp.0), S::splat(m.clamp.1));
        for i in 0..m.n {
            let mut v = S::load(m.a.add(i * S::N));
            if !m.b.is_null() {
                v = v.add(S::load(m.b.add(i * S::N)));
            }
            v.clamp(lo, hi).store(m.out.add(i * S::N));
        }
        if m.curve.is_some() {
            bend_and_sum::<S>(m.out, m.n, m.curve, std::ptr::null_mut());
        }
    }
}

/// `out = act(a * b)`, `b` one vector for all.
///
/// # Safety
/// The processor has the instructions of `S`; `a` is good for reads of `n`
/// vectors, `b` of one, `out` for reads and writes of `n`; `a` is `out` itself or lies
/// outside it, `b` lies outside it.
#[inline(always)]
pub(super) unsafe fn scale<S: Lanes>(m: &RawMap) {
    // SAFETY: the caller's pointers are good for `n` vectors and one.
    unsafe {
        let by = S::load(m.b);
        let (lo, hi) = (S::splat(m.clamp.0), S::splat(m.clamp.1));
        for i in 0..m.n {
            let v = S::load(m.a.add(i * S::N)).mul(by);
            v.clamp(lo, hi).store(m.out.add(i * S::N));
        }
        if m.curve.is_some() {
            bend_and_sum::<S>(m.out, m.n, m.curve, std::ptr::null_mut());
        }
    }
}

/// `out[k][..] = a[k][..] * b[k]`: rows of `width` vectors, each by its scalar.
///
/// # Safety
/// The processor has the instructions of `S`; `a` is good for reads and `out`
/// for writes of `n * width` vectors, `b` for reads of `n` elements; `a` is `out` itself
/// or lies outside it, `b` lies outside it.
#[inline(always)]
pub(super) unsafe fn scale_rows<S: Lanes>(m: &RawMap, width: usize) {
    // SAFETY: the caller's pointers are good for `n` rows of vectors and `n`
    // scalars.
    unsafe {
        for k in 0..m.n {
            let by = S::splat(*m.b.add(k));
            for j in 0..width {
                let at = (k * width + j) * S::N;
                S::load(m.a.add(at)).mul(by).store(m.out.add(at));
            }
        }
    }
}

/// A window of a block of channels; its pointers are good for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawPool {
    /// The window's first pixel.
    pub src: *const f32,
    /// Elements between rows.
    pub row: usize,
    /// Rows and columns of the window.
    pub window: (usize, usize),
    /// The sum is multiplied by this.
    pub scale: f32,
    /// `[N]`.
    pub out: *mut f32,
}

/// `out = scale * sum of the window`.
///
/// # Safety
/// The processor has the instructions of `S`; `src` is good for reads of
/// `window.1` vectors in each of `window.0` rows that lie `row` elements apart, `out`
/// for a write of one vector.
#[inline(always)]
pub(super) unsafe fn pool<S: Lanes>(p: &RawPool) {
    // SAFETY: the caller vouches for the window and for one vector of `out`.
    unsafe {
        let mut even = S::splat(0.0);
        let mut odd = S::splat(0.0);
        for y in 0..p.window.0 {
            let row = p.src.add(y * p.row);
            let mut x = 0;
            while x + 2 <= p.window.1 {
                even = even.add(S::load(row.add(x * S::N)));
                odd = odd.add(S::load(row.add((x + 1) * S::N)));
                x += 2;
            }
            if x < p.window.1 {
                even = even.add(S::load(row.add(x * S::N)));
            }
        }
        even.add(odd).mul(S::splat(p.scale)).store(p.out);
    }
}
