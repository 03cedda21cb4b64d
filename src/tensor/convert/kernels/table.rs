//! One table of functions per instruction set: the generic kernels compiled
//! with its features enabled.

use super::Isa;
use super::portable::Portable;
use super::rows::{self, GREY, RGB, RawBlend, RawRow, YUV};

/// The functions of one instruction set. Calling any is sound only on a
/// processor that has it.
#[derive(Debug)]
pub(in super::super) struct Table {
    /// Which it is.
    pub isa: Isa,
    /// Outputs of a group.
    pub lanes: usize,
    /// Words that a window may have, the fewest first.
    pub windows: &'static [usize],
    /// Bytes as they are; even and odd bytes apart.
    pub blend: [unsafe fn(&RawBlend); 2],
    pub halve: unsafe fn(&[u16], [&mut [u16]; 2]),
    pub third: unsafe fn(&[u16], [&mut [u16]; 3]),
    /// By [`super::Kind`].
    pub row_f32: [unsafe fn(&RawRow<f32>); 3],
    /// By [`super::Kind`].
    pub row_i8: [unsafe fn(&RawRow<i8>); 3],
}

macro_rules! table {
    (
        $(#[$gate:meta])* $name:ident, $module:ident, $isa:expr, $vector:ty,
        [$($feature:meta)?]
    ) => {
        $(#[$gate])*
        mod $module {
            use super::*;
            use super::super::lanes::Lanes;
            use super::super::rows::Element;
            type S = $vector;

            $(#[$feature])?
            unsafe fn blend<const PARTED: bool>(b: &RawBlend) {
                // SAFETY: handed on.
                unsafe { rows::blend::<S, PARTED>(b) }
            }
            $(#[$feature])?
            unsafe fn halve(words: &[u16], planes: [&mut [u16]; 2]) {
                rows::halve(words, planes);
            }
            $(#[$feature])?
            unsafe fn third(words: &[u16], planes: [&mut [u16]; 3]) {
                // SAFETY: handed on.
                unsafe { rows::third::<S>(words, planes) }
            }
            $(#[$feature])?
            unsafe fn row<T: Element, const KIND: u8>(r: &RawRow<T>) {
                // SAFETY: handed on.
                unsafe { rows::row::<S, T, KIND>(r) }
            }

            pub(in super::super) static TABLE: Table = Table {
                isa: $isa,
                lanes: <S as Lanes>::N,
                windows: <S as Lanes>::WINDOWS,
                blend: [blend::<false>, blend::<true>],
                halve,
                third,
                row_f32: [row::<f32, RGB>, row::<f32, YUV>, row::<f32, GREY>],
                row_i8: [row::<i8, RGB>, row::<i8, YUV>, row::<i8, GREY>],
            };
        }
        $(#[$gate])*
        pub(super) use $module::TABLE as $name;
    };
}

table!(
    #[cfg(target_arch = "x86_64")]
    AVX512,
    avx512,
    Isa::Avx512,
    super::super::x86::Avx512,
    [target_feature(
        enable = "avx512f,avx512vl,avx512dq,avx512bw,fma"
    )]
);

table!(
    #[cfg(target_arch = "x86_64")]
    AVX2,
    avx2,
    Isa::Avx2,
    super::super::x86::Avx2,
    [target_feature(enable = "avx2,fma")]
);

table!(
    #[cfg(target_arch = "aarch64")]
    NEON,
    neon_table,
    Isa::Neon,
    super::super::neon::Neon,
    [target_feature(enable = "neon")]
);

table!(PORTABLE, portable_table, Isa::Portable, Portable, []);

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
