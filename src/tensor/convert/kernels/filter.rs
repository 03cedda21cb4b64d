//! Filter weights in whole numbers, laid out for groups of outputs.

use super::super::taps::Taps;
use super::Kernels;
use super::lanes::RawTaps;

/// Weights of one output of [`Taps`] as shares of `whole` that add up to it,
/// and the first sample.
fn shares(taps: &Taps, output: usize, whole: f64) -> (usize, Vec<i32>) {
    let mut used = taps.of(output).peekable();
    let first = used.peek().map_or(0, |(sample, _)| *sample);
    let (mut sum, mut given, mut weights) = (0.0, 0, Vec::new());
    for (sample, weight) in used {
        weights.resize(sample - first, 0);
        sum += f64::from(weight);
        #[expect(clippy::cast_possible_truncation, reason = "a share of 2^15 at most")]
        let rounded = (sum * whole).round() as i32;
        weights.push(rounded - given);
        given = rounded;
    }
    if let Some(middle) = weights.iter_mut().max() {
        #[expect(clippy::cast_possible_truncation, reason = "2^15 at most")]
        let whole = whole as i32;
        *middle += whole - given;
    }
    (first, weights)
}

/// Weights of one axis, row by row.
#[derive(Clone, Debug)]
pub(in super::super) struct Lines {
    /// First row, and which weights.
    outputs: Vec<(usize, std::ops::Range<usize>)>,
    weights: Vec<u16>,
}

impl Lines {
    /// The weights of `taps` for `outputs` outputs.
    pub fn new(taps: &Taps, outputs: usize) -> Self {
        let mut lines = Self {
            outputs: Vec::new(),
            weights: Vec::new(),
        };
        for output in 0..outputs {
            let (first, shares) = shares(taps, output, 32768.0);
            let begin = lines.weights.len();
            let words = shares.iter().map(|w| u16::try_from(*w).unwrap_or(0));
            lines.weights.extend(words);
            lines.outputs.push((first, begin..lines.weights.len()));
        }
        lines
    }

    /// First row and weights of an output.
    pub fn of(&self, output: usize) -> (usize, &[u16]) {
        let (first, weights) = &self.outputs[output];
        (*first, &self.weights[weights.clone()])
    }

    /// One past the last row of an output; that of the last for those beyond.
    pub fn end(&self, output: usize) -> usize {
        let last = output.min(self.outputs.len() - 1);
        let (first, weights) = &self.outputs[last];
        first + weights.len()
    }
}

/// Weights of one axis, for groups of outputs of one instruction set.
#[derive(Clone, Debug)]
pub(in super::super) struct Filter {
    starts: Vec<u32>,
    weights: Vec<[i16; 2]>,
    window: usize,
    windows: Vec<u32>,
    places: Vec<[u16; 2]>,
    pairs: usize,
    outputs: usize,
    lanes: usize,
    end: usize,
}

impl Filter {
    /// The weights of `taps` for `outputs` outputs; word 0 is sample `first`.
    pub fn new(taps: &Taps, first: usize, outputs: usize, kernels: Kernels) -> Self {
        let lanes = kernels.table.lanes;
        let all: Vec<_> = (0..outputs).map(|o| shares(taps, o, 16384.0)).collect();
        let longest = all.iter().map(|(_, weights)| weights.len()).max();
        let pairs = longest.unwrap_or(0).div_ceil(2);
        let groups = outputs.div_ceil(lanes);
        let mut filter = Self {
            starts: vec![0; groups * lanes],
            weights: vec![[0; 2]; groups * pairs * lanes],
            window: 0,
            windows: Vec::new(),
            places: Vec::new(),
            pairs,
            outputs,
            lanes,
            end: 0,
        };
        for output in 0..groups * lanes {
            // Lanes beyond the last output read what the last does.
            let (start, shares) = &all[output.min(outputs - 1)];
            let start = start - first;
            filter.starts[output] = u32::try_from(start).unwrap_or(0);
            filter.end = filter.end.max(start + 2 * pairs);
            let (group, lane) = (output / lanes, output % lanes);
            for (k, share) in shares.iter().enumerate() {
                let at = (group * pairs + k / 2) * lanes + lane;
                filter.weights[at][k % 2] = i16::try_from(*share).unwrap_or(0);
            }
        }
        filter.open_windows(longest.unwrap_or(0), kernels.table.windows);
        filter
    }

    /// Finds each group's window, unless some group's words do not fit in one.
    fn open_windows(&mut self, taps: usize, sizes: &[usize]) {
        let groups = || self.starts.chunks_exact(self.lanes);
        let low = |group: &[u32]| group.iter().copied().min().unwrap_or(0);
        let high = |group: &[u32]| group.iter().copied().max().unwrap_or(0);
        let words = groups().map(|g| (high(g) - low(g)) as usize + taps).max();
        let fits = |size: &&usize| words.is_some_and(|words| words <= **size);
        let Some(window) = sizes.iter().copied().find(|size| fits(&size)) else {
            return;
        };
        let windows: Vec<u32> = groups().map(low).collect();
        let places = groups().zip(&windows).flat_map(|(group, window)| {
            let place = move |start: &u32| u16::try_from(start - window).unwrap_or(0);
            group
                .iter()
                .map(move |start| [place(start), place(start) + 1])
        });
        self.places = places.collect();
        let last = windows.iter().copied().max().unwrap_or(0) as usize;
        self.end = self.end.max(last + window);
        self.windows = windows;
        self.window = window;
    }

    /// Words that a row must have.
    pub fn end(&self) -> usize {
        self.end
    }

    /// Whether it is for so many outputs in groups of so many lanes.
    pub(super) fn is_for(&self, outputs: usize, lanes: usize) -> bool {
        self.outputs == outputs && self.lanes == lanes
    }

    pub(super) fn raw(&self) -> RawTaps {
        RawTaps {
            starts: self.starts.as_ptr(),
            weights: self.weights.as_ptr(),
            pairs: self.pairs,
            window: self.window,
            windows: self.windows.as_ptr(),
            places: self.places.as_ptr(),
        }
    }
}
