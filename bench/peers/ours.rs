//! A candidate of ours: segments in a row, each feature map handed on as it is.

use super::network::Lengths;
use anyhow::Context;
use e4::engine::{Buffer, Segment, SegmentIo};
use e4::monotonic::now_ns;

/// Loaded segments with their buffers.
#[derive(Debug)]
pub struct Chain {
    stages: Vec<(Box<dyn Segment>, Option<SegmentIo>)>,
}

impl Chain {
    /// Segments with buffers in host memory; the first input holds `x`.
    pub fn new(segments: Vec<(Box<dyn Segment>, Lengths)>, x: &[f32]) -> anyhow::Result<Self> {
        let host = |len: usize| Buffer::Host(vec![0.0; len]);
        let stage = |(segment, (input, output, pooled)): (Box<dyn Segment>, Lengths)| {
            let io = SegmentIo {
                input: host(input),
                output: output.map(host),
                pooled: host(pooled),
            };
            (segment, Some(io))
        };
        let mut stages: Vec<_> = segments.into_iter().map(stage).collect();
        let first = stages.first_mut().and_then(|stage| stage.1.as_mut());
        first.context("no segments")?.input.write_from(x)?;
        Ok(Self { stages })
    }

    /// Runs all of them; milliseconds.
    pub fn run(&mut self) -> anyhow::Result<f64> {
        let started_ns = now_ns();
        for at in 0..self.stages.len() {
            let (segment, slot) = &mut self.stages[at];
            segment
                .enqueue(slot.take().context("buffers")?)
                .map_err(|f| f.error)?;
            let mut io = segment.wait().map_err(|f| f.error)?;
            if let (Some(map), Some((_, Some(next)))) =
                (&mut io.output, self.stages.get_mut(at + 1))
            {
                std::mem::swap(map, &mut next.input);
            }
            self.stages[at].1 = Some(io);
        }
        #[expect(clippy::cast_precision_loss, reason = "times are short")]
        let ms = (now_ns() - started_ns) as f64 / 1e6;
        Ok(ms)
    }

    /// What the last one pooled.
    pub fn pooled(&self) -> Option<&[f32]> {
        self.stages.last()?.1.as_ref()?.pooled.as_host()
    }
}
