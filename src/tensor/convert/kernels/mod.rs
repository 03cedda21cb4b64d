//! The arithmetic of the conversion, once per instruction set, chosen at run
//! time.
//!
//! Guarantees: [`Kernels`] exists only for instructions that the processor has;
//! each of its methods compares what it will touch with the slices it is given,
//! once. All `unsafe` of the conversion is below this file. Rows are blended and
//! filtered in whole numbers, the same on every instruction set, colour and
//! normalisation in floats.
//!
//! Not guaranteed: the same last bits of the floats everywhere.
//!
//! Cost: three to five indirect calls a row of the tensor.

mod filter;
mod lanes;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
mod rows;
mod table;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(super) use filter::{Filter, Lines};
pub(super) use rows::Mix;

use super::super::Rows;
use rows::{RawBlend, RawRow};
use std::ops::Range;
use table::Table;

/// An instruction set with a path of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512 F, VL, DQ and BW.
    Avx512,
    /// AVX2 and FMA.
    Avx2,
    /// NEON.
    Neon,
    /// Whatever the compiler may assume.
    Portable,
}

impl Isa {
    /// Every one, fastest first.
    pub const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];
}

/// What the components of a pixel are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Rgb,
    Yuv,
    Grey,
}

/// The kernels of one instruction set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernels {
    table: &'static Table,
}

/// Some rows of a surface, to be blended into one.
#[derive(Debug)]
pub(super) struct Blend<'a> {
    /// All rows.
    pub rows: Rows<'a>,
    /// The first to take.
    pub first: usize,
    /// A share of 32768 for it and each that follows.
    pub weights: &'a [u16],
    /// Which bytes of them.
    pub bytes: Range<usize>,
    /// Rows that will be needed soon.
    pub ahead: Range<usize>,
}

/// An element of the tensor: `f32` or `i8`.
pub(super) trait Element: rows::Element {
    #[doc(hidden)]
    fn row(table: &Table, kind: Kind) -> unsafe fn(&RawRow<Self>);
}

impl Element for f32 {
    fn row(table: &Table, kind: Kind) -> unsafe fn(&RawRow<Self>) {
        table.row_f32[kind as usize]
    }
}

impl Element for i8 {
    fn row(table: &Table, kind: Kind) -> unsafe fn(&RawRow<Self>) {
        table.row_i8[kind as usize]
    }
}

impl Kernels {
    /// The fastest that this processor has.
    pub fn best() -> Self {
        let table = Isa::ALL.into_iter().find_map(table::of);
        Self {
            table: table.unwrap_or(&table::PORTABLE),
        }
    }

    /// Those of `isa`, if this processor has it.
    pub fn of(isa: Isa) -> Option<Self> {
        table::of(isa).map(|table| Self { table })
    }

    /// Which they are.
    pub fn isa(self) -> Isa {
        self.table.isa
    }

    /// Blends rows into words of 1/128 of a byte's unit; with `odd`, even bytes
    /// into `even` and odd ones into `odd`.
    pub fn blend(self, b: &Blend<'_>, even: &mut [u16], odd: Option<&mut [u16]>) {
        let from = b.first * b.rows.stride + b.bytes.start;
        let reach = b.weights.len().saturating_sub(1) * b.rows.stride + b.bytes.len();
        let src = &b.rows.bytes[from..from + reach];
        let words = b.bytes.len() / if odd.is_some() { 2 } else { 1 };
        let parted = usize::from(odd.is_some());
        let even = &mut even[..words];
        let odd = odd.map_or(std::ptr::null_mut(), |odd| odd[..words].as_mut_ptr());
        let raw = RawBlend {
            src: src.as_ptr(),
            stride: b.rows.stride,
            weights: b.weights.as_ptr(),
            rows: b.weights.len(),
            bytes: b.bytes.len(),
            even: even.as_mut_ptr(),
            odd,
            ahead: (
                b.ahead.start.saturating_sub(b.first),
                b.ahead.end.saturating_sub(b.first),
            ),
        };
        // SAFETY: the processor has the table's instructions; `src` holds every
        // row and `even` and `odd` every word, as the slicing above found.
        unsafe { (self.table.blend[parted])(&raw) };
    }

    /// Every second word into a plane of its own.
    pub fn halve(self, words: &[u16], planes: [&mut [u16]; 2]) {
        // SAFETY: the processor has the table's instructions.
        unsafe { (self.table.halve)(words, planes) };
    }

    /// Every third word into a plane of its own.
    pub fn third(self, words: &[u16], planes: [&mut [u16]; 3]) {
        // SAFETY: the processor has the table's instructions.
        unsafe { (self.table.third)(words, planes) };
    }

    /// Filters, converts and normalises one row of the tensor.
    pub fn row<T: Element>(
        self,
        kind: Kind,
        components: [(&[u16], &Filter); 3],
        out: [&mut [T]; 3],
        mix: Mix,
    ) {
        let width = out[0].len();
        let fit = components.iter().all(|(words, filter)| {
            filter.end() <= words.len() && filter.is_for(width, self.table.lanes)
        });
        assert!(
            fit && out.iter().all(|out| out.len() == width),
            "a plan's own"
        );
        let raw = RawRow {
            words: components.map(|(words, _)| words.as_ptr()),
            taps: components.map(|(_, filter)| filter.raw()),
            width,
            out: out.map(<[T]>::as_mut_ptr),
            mix,
        };
        // SAFETY: the processor has the table's instructions; rows and tables
        // hold what is read and `out` what is written, as compared above.
        unsafe { T::row(self.table, kind)(&raw) };
    }
}
