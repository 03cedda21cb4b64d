//! One table of functions per instruction set: the generic kernels compiled with its
//! features enabled.

use super::Isa8;
use super::bytes::Bytes;
use super::depthwise::{self, RawDepthwise};
use super::passes::{self, RawPlanes, RawPool, RawSum};
use super::portable::Portable;
use super::product::{self, RawProduct};

type TileFn = unsafe fn(&RawProduct, usize);

/// Functions for tiles of 1, 2, ... pixels; the longest is the best.
type TileRow = &'static [TileFn];

/// Depthwise convolutions of one vector width.
///
/// # Safety
/// As for [`Table`].
#[derive(Debug)]
pub(super) struct Strip {
    /// Sums of a vector; a block is four times as many channels.
    pub lanes: usize,
    /// Kernel 3 and 5, horizontal stride 1 and 2.
    square: [[unsafe fn(&RawDepthwise); 2]; 2],
    any: unsafe fn(&RawDepthwise),
}

impl Strip {
    /// All rows of `d`.
    ///
    /// # Safety
    /// The processor has the instructions; `d` is good for its rows.
    pub unsafe fn rows(&self, d: &RawDepthwise) {
        let rows = match (d.kernel, d.stride.1) {
            ((3, 3), stride @ 1..=2) => self.square[0][stride - 1],
            ((5, 5), stride @ 1..=2) => self.square[1][stride - 1],
            _ => self.any,
        };
        // SAFETY: handed on.
        unsafe { rows(d) };
    }
}

/// The functions of one instruction set.
///
/// # Safety
/// Calling any of them, through a field or a method, is sound only on a processor that
/// has the instructions, which [`of`] makes sure of, and with arguments as the generic
/// function of the same name asks.
#[derive(Debug)]
pub(super) struct Table {
    /// Sums of a vector.
    pub lanes: usize,
    /// Bits that are flipped in a stored value.
    pub flip: u8,
    /// `[vectors - 1]`.
    tiles: [TileRow; 4],
    /// Widest first.
    pub strips: &'static [&'static Strip],
    pub sum: unsafe fn(&RawSum),
    pub pool: unsafe fn(&RawPool),
    pub pool_floats: unsafe fn(&RawPool, *mut f32),
    pub import: unsafe fn(&RawPlanes),
    pub export: unsafe fn(&RawPlanes, usize),
}

impl Table {
    /// Pixels `first..end` in tiles of nearly equal size.
    ///
    /// # Safety
    /// The processor has the instructions; `g` is good for the pixels; `nv` is 1 to 4.
    pub unsafe fn product(&self, g: &RawProduct, nv: usize, (first, end): (usize, usize)) {
        let row = self.tiles[nv - 1];
        let pixels = end - first;
        let tiles = pixels.div_ceil(row.len());
        for i in 0..tiles {
            let (from, to) = (pixels * i / tiles, pixels * (i + 1) / tiles);
            // SAFETY: the pixels of this tile are among those of `g`.
            unsafe { row[to - from - 1](g, first + from) };
        }
    }
}

macro_rules! strip {
    ($(#[$gate:meta])* $name:ident, $module:ident, $vector:ty, [$($feature:meta)?]) => {
        $(#[$gate])*
        mod $module {
            use super::*;
            type S = $vector;

            $(#[$feature])?
            unsafe fn square<const K: usize, const SX: usize>(d: &RawDepthwise) {
                // SAFETY: handed on.
                unsafe { depthwise::rows::<S, K, SX>(d) }
            }
            $(#[$feature])?
            unsafe fn any(d: &RawDepthwise) {
                // SAFETY: handed on.
                unsafe { depthwise::rows_of_any_kernel::<S>(d) }
            }

            pub(in super::super) static STRIP: Strip = Strip {
                lanes: <S as Bytes>::N,
                square: [[square::<3, 1>, square::<3, 2>], [square::<5, 1>, square::<5, 2>]],
                any,
            };
        }
        $(#[$gate])*
        use $module::STRIP as $name;
    };
}

macro_rules! table {
    (
        $(#[$gate:meta])* $name:ident, $module:ident, $vector:ty, [$($feature:meta)?],
        strips: [$($strip:ident)*],
        one: [$($one:literal)*], two: [$($two:literal)*],
        three: [$($three:literal)*], four: [$($four:literal)*]
    ) => {
        $(#[$gate])*
        mod $module {
            use super::*;
            type S = $vector;

            $(#[$feature])?
            unsafe fn tile<const MR: usize, const NV: usize>(g: &RawProduct, first: usize) {
                // SAFETY: handed on.
                unsafe { product::tile::<S, MR, NV>(g, first) }
            }
            $(#[$feature])?
            unsafe fn sum(s: &RawSum) {
                // SAFETY: handed on.
                unsafe { passes::sum::<S>(s) }
            }
            $(#[$feature])?
            unsafe fn pool(p: &RawPool) {
                // SAFETY: handed on.
                unsafe { passes::pool::<S>(p) }
            }
            $(#[$feature])?
            unsafe fn pool_floats(p: &RawPool, out: *mut f32) {
                // SAFETY: handed on.
                unsafe { passes::pool_floats::<S>(p, out) }
            }
            $(#[$feature])?
            unsafe fn import(r: &RawPlanes) {
                // SAFETY: handed on.
                unsafe { passes::import::<S>(r) }
            }
            $(#[$feature])?
            unsafe fn export(r: &RawPlanes, channels: usize) {
                // SAFETY: handed on.
                unsafe { passes::export::<S>(r, channels) }
            }

            pub(in super::super) static TABLE: Table = Table {
                lanes: <S as Bytes>::N,
                flip: <S as Bytes>::FLIP,
                tiles: [
                    &[$(tile::<$one, 1>),*],
                    &[$(tile::<$two, 2>),*],
                    &[$(tile::<$three, 3>),*],
                    &[$(tile::<$four, 4>),*],
                ],
                strips: &[$(&$strip),*],
                sum,
                pool,
                pool_floats,
                import,
                export,
            };
        }
        $(#[$gate])*
        use $module::TABLE as $name;
    };
}

#[cfg(target_arch = "x86_64")]
use super::avx2::{Avx256, Evex, Vex, Wide};
#[cfg(target_arch = "x86_64")]
use super::avx512::Avx512Vnni;

strip!(
    #[cfg(target_arch = "x86_64")]
    STRIP_512,
    strip_512,
    Avx512Vnni,
    [target_feature(
        enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512vnni"
    )]
);
strip!(
    #[cfg(target_arch = "x86_64")]
    STRIP_EVEX,
    strip_evex,
    Avx256<Evex>,
    [target_feature(
        enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512vnni"
    )]
);
strip!(
    #[cfg(target_arch = "x86_64")]
    STRIP_VEX,
    strip_vex,
    Avx256<Vex>,
    [target_feature(enable = "avx2,avxvnni")]
);
strip!(
    #[cfg(target_arch = "x86_64")]
    STRIP_WIDE,
    strip_wide,
    Avx256<Wide>,
    [target_feature(enable = "avx2")]
);
table!(
    #[cfg(target_arch = "x86_64")]
    AVX512_VNNI, avx512_vnni, Avx512Vnni,
    [target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512vnni")],
    strips: [STRIP_512 STRIP_EVEX],
    one: [1 2 3 4 5 6 7 8 9 10], two: [1 2 3 4 5 6 7 8 9 10],
    three: [1 2 3 4 5 6 7 8], four: [1 2 3 4 5 6]
);
table!(
    #[cfg(target_arch = "x86_64")]
    AVX_VNNI, avx_vnni, Avx256<Vex>, [target_feature(enable = "avx2,avxvnni")],
    strips: [STRIP_VEX],
    one: [1 2 3 4 5 6 7 8], two: [1 2 3 4 5 6], three: [1 2 3 4], four: [1 2 3]
);
table!(
    #[cfg(target_arch = "x86_64")]
    AVX2, avx2, Avx256<Wide>, [target_feature(enable = "avx2")],
    strips: [STRIP_WIDE],
    one: [1 2 3 4 5 6], two: [1 2 3 4], three: [1 2], four: [1 2]
);

#[cfg(target_arch = "aarch64")]
use super::neon::{Neon, Pairs, Sdot};

strip!(
    #[cfg(target_arch = "aarch64")]
    STRIP_SDOT,
    strip_sdot,
    Neon<Sdot>,
    [target_feature(enable = "neon,dotprod")]
);
strip!(
    #[cfg(target_arch = "aarch64")]
    STRIP_NEON,
    strip_neon,
    Neon<Pairs>,
    [target_feature(enable = "neon")]
);
table!(
    #[cfg(target_arch = "aarch64")]
    NEON_DOT, neon_dot, Neon<Sdot>, [target_feature(enable = "neon,dotprod")],
    strips: [STRIP_SDOT],
    one: [1 2 3 4 5 6 7 8], two: [1 2 3 4 5 6 7 8],
    three: [1 2 3 4 5 6 7], four: [1 2 3 4 5]
);
table!(
    #[cfg(target_arch = "aarch64")]
    NEON, neon_table, Neon<Pairs>, [target_feature(enable = "neon")],
    strips: [STRIP_NEON],
    one: [1 2 3 4 5 6], two: [1 2 3 4 5 6], three: [1 2 3 4 5], four: [1 2 3 4]
);

strip!(STRIP_PORTABLE, strip_portable, Portable, []);
table!(
    PORTABLE, portable_table, Portable, [],
    strips: [STRIP_PORTABLE],
    one: [1 2], two: [1 2], three: [1], four: [1]
);

/// The table of `isa`, if this processor has it.
pub(super) fn of(isa: Isa8) -> Option<&'static Table> {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa8::Avx512Vnni => (is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vnni"))
        .then_some(&AVX512_VNNI),
        #[cfg(target_arch = "x86_64")]
        Isa8::AvxVnni => (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni"))
            .then_some(&AVX_VNNI),
        #[cfg(target_arch = "x86_64")]
        Isa8::Avx2 => is_x86_feature_detected!("avx2").then_some(&AVX2),
        #[cfg(target_arch = "aarch64")]
        Isa8::NeonDot => (std::arch::is_aarch64_feature_detected!("neon")
            && std::arch::is_aarch64_feature_detected!("dotprod"))
        .then_some(&NEON_DOT),
        #[cfg(target_arch = "aarch64")]
        Isa8::Neon => std::arch::is_aarch64_feature_detected!("neon").then_some(&NEON),
        Isa8::Portable => Some(&PORTABLE),
        #[allow(
            unreachable_patterns,
            reason = "which are left depends on the architecture"
        )]
        _ => None,
    }
}

/// The functions that are everywhere.
pub(super) static BASE: &Table = &PORTABLE;
