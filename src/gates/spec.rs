//! What the temporal heads of a bundle look like: sizes, thresholds, state.

/// What the temporal state does on a stream longer than the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Beyond {
    /// Carry on for ever.
    #[default]
    Carry,
    /// Start from zeros after every `window` committed frames.
    Reset,
    /// Two states, half a window apart, each started afresh after `window`
    /// frames; the older one answers.
    Staggered,
}

/// One exit of [`GateSpec`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExitSpec {
    /// Channels of the pooled feature.
    pub channels: usize,
    /// The gate's threshold; `None` at the last exit only.
    pub threshold: Option<f32>,
    /// Threshold of the max-softmax policy; `None` at the last exit.
    pub softmax_threshold: Option<f32>,
}

/// Sizes and thresholds of the temporal heads, as in `bundle.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct GateSpec {
    /// T: frames that the attention looks back over, the current one included.
    pub window: usize,
    /// K: number of classes.
    pub classes: usize,
    /// g: pooled features are `[C, g, g]`.
    pub grid: usize,
    /// M: channels after an adapter's 1x1 convolution.
    pub adapter_channels: usize,
    /// D: elements of an adapted feature.
    pub feature: usize,
    /// H: elements of an LSTM layer's state.
    pub hidden: usize,
    /// A: elements of the attention's hidden layer.
    pub attention: usize,
    /// G: elements of each of a gate's two projections.
    pub gate_projection: usize,
    /// What the state does beyond the window.
    pub beyond: Beyond,
    /// Scene cut: the state starts afresh where the first exit's feature turns
    /// from one frame to the next by more than this cosine distance.
    pub cut_distance: Option<f32>,
    /// The exits, in order.
    pub exits: Vec<ExitSpec>,
}

impl GateSpec {
    /// Cells of the pooling grid.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.grid * self.grid
    }

    /// The first size that no head can have, and its name.
    pub(super) fn flaw(&self) -> Option<&'static str> {
        let sizes = [
            (self.window, "window"),
            (self.classes, "labels"),
            (self.grid, "heads.grid"),
            (self.adapter_channels, "heads.adapter_channels"),
            (self.feature, "heads.feature"),
            (self.hidden, "heads.hidden"),
            (self.attention, "heads.attention"),
            (self.gate_projection, "heads.gate_projection"),
            (self.exits.len(), "exit"),
        ];
        let limit = usize::from(u16::MAX);
        let bad = |size: usize| size == 0 || size > limit;
        let size = sizes.into_iter().find(|(size, _)| bad(*size));
        let channels = self.exits.iter().any(|exit| bad(exit.channels));
        size.map(|(_, name)| name)
            .or(channels.then_some("segment.pooled"))
    }
}
