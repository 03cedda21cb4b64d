//! Offsets that kernels follow without a test of their own: each table knows
//! the largest place it names, so that one comparison covers all of it.

/// Consecutive elements of a pixel's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(in crate::engine::native) struct Run {
    /// First element, counted from the pixel's own.
    pub offset: u32,
    /// Number of elements.
    pub count: u32,
}

/// The input of a pixel: its runs, in the order of the weights.
#[derive(Clone, Debug, Default)]
pub(in crate::engine::native) struct Runs {
    runs: Vec<Run>,
    total: usize,
    end: usize,
}

impl Runs {
    /// A table of `runs`.
    pub fn new(runs: Vec<Run>) -> Self {
        let mut table = Self {
            runs,
            ..Self::default()
        };
        table.measure();
        table
    }

    /// Writes new offsets over the old ones; counts stay.
    pub fn relocate(&mut self, offsets: impl Iterator<Item = u32>) {
        for (run, offset) in self.runs.iter_mut().zip(offsets) {
            run.offset = offset;
        }
        self.measure();
    }

    fn measure(&mut self) {
        let ends = self
            .runs
            .iter()
            .map(|r| r.offset as usize + r.count as usize);
        self.end = ends.max().unwrap_or(0);
        self.total = self.runs.iter().map(|r| r.count as usize).sum();
    }

    /// The runs.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Elements of all runs together.
    pub fn total(&self) -> usize {
        self.total
    }

    /// One past the last element that a run names.
    pub(super) fn end(&self) -> usize {
        self.end
    }
}

/// Places of pixels or rows.
#[derive(Clone, Debug, Default)]
pub(in crate::engine::native) struct Offsets {
    offsets: Vec<u32>,
    largest: usize,
}

impl Offsets {
    /// A table of `offsets`.
    pub fn new(offsets: Vec<u32>) -> Self {
        let largest = offsets.iter().copied().max().unwrap_or(0) as usize;
        Self { offsets, largest }
    }

    /// The offsets.
    pub fn as_slice(&self) -> &[u32] {
        &self.offsets
    }

    /// Number of offsets.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// The largest offset.
    pub fn largest(&self) -> usize {
        self.largest
    }
}
