//! Weights in the order in which the kernels read them, on cache lines.
//!
//! Output channels beyond the last real one have weight and bias 0; input
//! channels are exactly the real ones, so that no kernel reads a padding lane.

use super::kernels::Kernels;
use super::memory::Aligned;

/// One panel: some blocks of output channels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel {
    /// Where its weights begin.
    pub at: usize,
    /// Blocks of output channels.
    pub nv: usize,
    /// Its first block.
    pub block: usize,
}

/// The weights of a product, `[panel][input][nv * lanes]`.
#[derive(Debug)]
pub(super) struct Panels {
    pub list: Vec<Panel>,
    pub weights: Aligned,
    /// `[blocks * lanes]`.
    pub bias: Aligned,
    /// Input channels.
    pub inner: usize,
    lanes: usize,
}

impl Panels {
    /// Packs `[out][inner]` weights; `order[k]` is the place in a row of the
    /// element that the kernel reads `k`-th.
    pub fn pack(weights: &[f32], bias: &[f32], order: &[usize], lanes: usize) -> Self {
        let out = bias.len();
        let inner = order.len();
        let row = weights.len() / out.max(1);
        let list = split(out.div_ceil(lanes), inner * lanes);
        let mut packed = Aligned::zeroed(out.div_ceil(lanes) * lanes * inner);
        for panel in &list {
            let columns = panel.nv * lanes;
            let place = &mut packed[panel.at..panel.at + inner * columns];
            for (line, &k) in place.chunks_mut(columns).zip(order) {
                let first = panel.block * lanes;
                for (n, value) in (first..out).zip(line) {
                    *value = weights[n * row + k];
                }
            }
        }
        Self {
            list,
            weights: packed,
            bias: padded(bias, lanes),
            inner,
            lanes,
        }
    }

    /// The weights of `panel`.
    pub fn weights_of<'w>(&self, panel: &Panel, weights: &'w [f32]) -> &'w [f32] {
        &weights[panel.at..panel.at + self.inner * panel.nv * self.lanes]
    }

    /// The bias of `panel`.
    pub fn bias_of(&self, panel: &Panel) -> &[f32] {
        let first = panel.block * self.lanes;
        &self.bias[first..first + panel.nv * self.lanes]
    }
}

/// Panels of two blocks, the last of three or one where the number is odd.
fn split(blocks: usize, block_len: usize) -> Vec<Panel> {
    let mut list = Vec::new();
    let mut block = 0;
    while block < blocks {
        let nv = match blocks - block {
            n @ (1 | 3) => n.min(Kernels::MAX_NV),
            _ => 2,
        };
        list.push(Panel {
            at: block * block_len,
            nv,
            block,
        });
        block += nv;
    }
    list
}

fn padded(values: &[f32], lanes: usize) -> Aligned {
    let mut padded = Aligned::zeroed(values.len().next_multiple_of(lanes));
    padded[..values.len()].copy_from_slice(values);
    padded
}

/// The weights of a depthwise convolution, `[block][kh * kw][lanes]`, and their
/// bias, `[block][lanes]`.
#[derive(Debug)]
pub(super) struct Taps {
    pub weights: Aligned,
    pub bias: Aligned,
}

impl Taps {
    /// Packs `[channel][kh * kw]` weights.
    pub fn pack(weights: &[f32], bias: &[f32], lanes: usize) -> Self {
        let channels = bias.len();
        let taps = weights.len() / channels.max(1);
        let mut packed = Aligned::zeroed(channels.next_multiple_of(lanes) * taps);
        for (c, row) in weights.chunks(taps.max(1)).enumerate() {
            let block = &mut packed[c / lanes * lanes * taps..];
            for (tap, value) in row.iter().enumerate() {
                block[tap * lanes + c % lanes] = *value;
            }
        }
        Self {
            weights: packed,
            bias: padded(bias, lanes),
        }
    }
}
