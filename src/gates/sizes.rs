//! The sizes of the heads, taken from the manifest.

use crate::engine::bundle::Manifest;

/// Sizes of the temporal heads; the letters are those of `engines/FORMAT.md`.
#[derive(Clone, Debug)]
pub(super) struct Sizes {
    /// T: frames that the attention looks back over.
    pub(super) window: usize,
    /// K.
    pub(super) classes: usize,
    /// g * g.
    pub(super) cells: usize,
    /// M.
    pub(super) adapter_channels: usize,
    /// D.
    pub(super) feature: usize,
    /// H.
    pub(super) hidden: usize,
    /// A.
    pub(super) attention: usize,
    /// G.
    pub(super) gate_projection: usize,
    /// `C_e` of every exit.
    pub(super) channels: Vec<usize>,
}

impl From<&Manifest> for Sizes {
    fn from(manifest: &Manifest) -> Self {
        let heads = &manifest.heads;
        let channels = manifest.segments.iter().map(|s| s.pooled[1]);
        Self {
            window: manifest.window,
            classes: manifest.labels.len(),
            cells: heads.grid * heads.grid,
            adapter_channels: heads.adapter_channels,
            feature: heads.feature,
            hidden: heads.hidden,
            attention: heads.attention,
            gate_projection: heads.gate_projection,
            channels: channels.collect(),
        }
    }
}
