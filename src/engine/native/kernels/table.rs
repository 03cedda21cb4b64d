//! One table of functions per instruction set: the generic kernels compiled
//! with its features enabled.

use super::Isa;
use super::depthwise::{self, RawDepthwise};
use super::gemm::{self, BLOCKED, RawGemm, STRIDED};
use super::lanes::Curve;
use super::map::{self, RawMap, RawPool};
use super::portable::Portable;

type TileFn = unsafe fn(&RawGemm, usize);

/// Functions for tiles of 1, 2, ... pixels; the longest is the best.
type TileRow = &'static [TileFn];

/// The functions of one instruction set.
///
/// # Safety
/// Calling any of them, through a field or a method, is sound only on a processor
/// that has the instructions, which [`of`] makes sure of, and with arguments as the
/// generic function of the same name asks.
#[derive(Debug)]
pub(super) struct Table {
    /// Which it is.
    pub isa: Isa,
    /// Elements of a vector.
    pub lanes: usize,
    /// `[pixel distance: blocked, two, strided][vectors - 1]`.
    tiles: [[TileRow; 3]; 3],
    bend: unsafe fn(&RawGemm, (usize, usize), usize, Curve),
    /// Kernel width 3 and 5, stride 1 and 2.
    depthwise: [[unsafe fn(&RawDepthwise); 2]; 2],
    any_depthwise: unsafe fn(&RawDepthwise),
    pub add: unsafe fn(&RawMap),
    pub scale: unsafe fn(&RawMap),
    pub scale_rows: unsafe fn(&RawMap, usize),
    pub pool: unsafe fn(&RawPool),
}

impl Table {
    /// All of `pixels` pixels in tiles of nearly equal size.
    ///
    /// # Safety
    /// The processor has the instructions; `g` is good for the pixels, and
    /// `pixel` and `nv` are within the table.
    pub unsafe fn product(&self, g: &RawGemm, pixel: usize, nv: usize, pixels: usize) {
        let row = self.tiles[pixel][nv - 1];
        let tiles = pixels.div_ceil(row.len());
        let mut first = 0;
        for i in 1..=tiles {
            let end = pixels * i / tiles;
            // SAFETY: the pixels of this tile are among those of `g`.
            unsafe {
                row[end - first - 1](g, first);
                if let Some(curve) = g.curve {
                    (self.bend)(g, (first, end), nv, curve);
                }
            }
            first = end;
        }
    }

    /// All rows of `d`.
    ///
    /// # Safety
    /// The processor has the instructions; `d` is good for its rows.
    pub unsafe fn depthwise(&self, d: &RawDepthwise) {
        let rows = match (d.kernel.1, d.stride.1) {
            (3, stride @ 1..=2) => self.depthwise[0][stride - 1],
            (5, stride @ 1..=2) => self.depthwise[1][stride - 1],
            _ => self.any_depthwise,
        };
        // SAFETY: handed on.
        unsafe { rows(d) };
    }
}

macro_rules! table {
    (
        $(#[$gate:meta])* $name:ident, $module:ident, $isa:expr, $vector:ty, [$($feature:meta)?],
        one: [$($one:literal)*], two: [$($two:literal)*], three: [$($three:literal)*]
    ) => {
        $(#[$gate])*
        mod $module {
            use super::*;
            use super::super::lanes::Lanes;
            type S = $vector;

            $(#[$feature])?
            unsafe fn tile<const MR: usize, const NV: usize, const PIXEL: usize>(
                g: &RawGemm,
                first: usize,
            ) {
                // SAFETY: handed on.
                unsafe { gemm::tile::<S, MR, NV, PIXEL>(g, first) }
            }
            $(#[$feature])?
            unsafe fn bend(g: &RawGemm, pixels: (usize, usize), nv: usize, curve: Curve) {
                // SAFETY: handed on.
                unsafe { gemm::bend::<S>(g, pixels, nv, curve) }
            }
            $(#[$feature])?
            unsafe fn depthwise<const K: usize, const SD: usize>(d: &RawDepthwise) {
                // SAFETY: handed on.
                unsafe { depthwise::rows::<S, K, SD>(d) }
            }
            $(#[$feature])?
            unsafe fn any_depthwise(d: &RawDepthwise) {
                // SAFETY: handed on.
                unsafe { depthwise::rows_of_any_kernel::<S>(d) }
            }
            $(#[$feature])?
            unsafe fn add(m: &RawMap) {
                // SAFETY: handed on.
                unsafe { map::add::<S>(m) }
            }
            $(#[$feature])?
            unsafe fn scale(m: &RawMap) {
                // SAFETY: handed on.
                unsafe { map::scale::<S>(m) }
            }
            $(#[$feature])?
            unsafe fn scale_rows(m: &RawMap, width: usize) {
                // SAFETY: handed on.
                unsafe { map::scale_rows::<S>(m, width) }
            }
            $(#[$feature])?
            unsafe fn pool(p: &RawPool) {
                // SAFETY: handed on.
                unsafe { map::pool::<S>(p) }
            }

            macro_rules! tiles {
                ($pixel:expr) => {
                    [
                        &[$(tile::<$one, 1, { $pixel }>),*],
                        &[$(tile::<$two, 2, { $pixel }>),*],
                        &[$(tile::<$three, 3, { $pixel }>),*],
                    ]
                };
            }

            pub(in super::super) static TABLE: Table = Table {
                isa: $isa,
                lanes: <S as Lanes>::N,
                tiles: [tiles!(BLOCKED), tiles!(2), tiles!(STRIDED)],
                depthwise: [
                    [depthwise::<3, 1>, depthwise::<3, 2>],
                    [depthwise::<5, 1>, depthwise::<5, 2>],
                ],
                bend,
                any_depthwise,
                add,
                scale,
                scale_rows,
                pool,
            };
        }
        $(#[$gate])*
        pub(super) use $module::TABLE as $name;
    };
}

table!(
    #[cfg(target_arch = "x86_64")]
    AVX512, avx512, Isa::Avx512, super::super::x86::Avx512,
    [target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,fma")],
    one: [1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16],
    two: [1 2 3 4 5 6 7 8 9 10 11 12],
    three: [1 2 3 4 5 6 7 8 9]
);

table!(
    #[cfg(target_arch = "x86_64")]
    AVX2, avx2, Isa::Avx2, super::super::x86::Avx2,
    [target_feature(enable = "avx2,fma")],
    one: [1 2 3 4 5 6 7 8 9 10 11 12],
    two: [1 2 3 4 5 6],
    three: [1 2 3 4]
);

table!(
    #[cfg(target_arch = "aarch64")]
    NEON, neon_table, Isa::Neon, super::super::neon::Neon,
    [target_feature(enable = "neon")],
    one: [1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16],
    two: [1 2 3 4 5 6 7 8 9 10 11 12],
    three: [1 2 3 4 5 6 7 8]
);

table!(
    PORTABLE, portable_table, Isa::Portable, Portable, [],
    one: [1 2 3 4], two: [1 2], three: [1]
);

/// The table of `isa`, if this processor has it.
pub(super) fn of(isa: Isa) -> Option<&'static Table> {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => (is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("fma"))
        .then_some(&AVX512),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => {
            (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(&AVX2)
        }
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => std::arch::is_aarch64_feature_detected!("neon").then_some(&NEON),
        Isa::Portable => Some(&PORTABLE),
        #[allow(
            unreachable_patterns,
            reason = "which are left depends on the architecture"
        )]
        _ => None,
    }
}
