//! The heads' weights, read in place from the mapped `gates.safetensors`.
//!
//! Guarantees, checked once when opened: every tensor of the format is there
//! with its shape, in f32 and aligned, nothing else is, and every value is
//! finite. Errors name the file and the tensor. Costs: one pass over the file
//! at opening; on the heap, the table of positions and a second copy, column after
//! column, of the matrices whose input has passed a ReLU, and in panels of the
//! convolutions.

use super::GatesError;
use super::cells::panels;
use super::linear::{all_finite, transpose};
use super::simd::affine;
use super::sizes::Sizes;
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors, tensor::Metadata};
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Width of the gate's two hidden layers.
pub(super) const MLP: [usize; 2] = [64, 32];

/// Where a tensor lies, in f32 elements of [`Weights::values`].
pub(super) type Span = Range<usize>;

/// Weight matrix and bias of a linear layer.
#[derive(Clone, Debug)]
pub(super) struct Linear {
    pub(super) weight: Span,
    pub(super) bias: Span,
}

/// The tensor at `span`.
pub(super) fn at<'a>(values: &'a [f32], span: &Span) -> &'a [f32] {
    &values[span.clone()]
}

impl Linear {
    /// `out = bias + weight . input`; `values` is [`Weights::values`].
    pub(super) fn apply(&self, values: &[f32], input: &[f32], out: &mut [f32]) {
        affine(at(values, &self.weight), at(values, &self.bias), input, out);
    }
}

/// One LSTM layer.
#[derive(Clone, Debug)]
pub(super) struct LstmLayer {
    pub(super) weight_ih: Span,
    pub(super) weight_hh: Span,
    pub(super) bias_ih: Span,
    pub(super) bias_hh: Span,
}

/// Adapter, classifier and gate of one exit.
#[derive(Clone, Debug)]
pub(super) struct ExitHead {
    pub(super) conv: Linear,
    /// The weight of `conv` as [`panels`].
    pub(super) conv_panels: Vec<f32>,
    pub(super) fc: Linear,
    /// The weight of `fc`, column after column: its input has passed a ReLU.
    pub(super) fc_columns: Vec<f32>,
    pub(super) norm: Linear,
    pub(super) mix: Span,
    pub(super) classifier: Linear,
    /// Absent at the last exit.
    pub(super) gate: Option<GateHead>,
}

/// The gate of one exit.
#[derive(Clone, Debug)]
pub(super) struct GateHead {
    pub(super) previous: Linear,
    pub(super) current: Linear,
    pub(super) mlp: [Linear; 3],
}

/// The mapped file and where everything lies in it.
#[derive(Debug)]
pub(super) struct Weights {
    map: Arc<Mmap>,
    data: Range<usize>,
    pub(super) lstm: [LstmLayer; 2],
    /// `weight_ih` of the first layer, column after column: its input has passed a
    /// ReLU.
    pub(super) lstm_columns: Vec<f32>,
    pub(super) attention: [Linear; 2],
    pub(super) exits: Vec<ExitHead>,
}

impl Weights {
    /// Checks the mapped `file` against `sizes`.
    ///
    /// # Errors
    /// When it is no safetensors file, or a tensor is missing, unknown, not
    /// f32, not aligned, not finite or of the wrong shape.
    pub(super) fn new(file: &Path, map: Arc<Mmap>, sizes: &Sizes) -> Result<Self, GatesError> {
        let format = |error: safetensors::SafeTensorError| GatesError::Format {
            file: file.to_owned(),
            reason: error.to_string(),
        };
        // Parsing the whole file also checks that the offsets cover it exactly.
        SafeTensors::deserialize(&map).map_err(format)?;
        let (header, metadata) = SafeTensors::read_metadata(&map).map_err(format)?;
        let data = header + size_of::<u64>()..map.len();
        let mut reader = Reader {
            file: file.to_owned(),
            bytes: &map[data.clone()],
            unread: metadata.tensors().into_keys().collect(),
            metadata: &metadata,
        };
        let lstm = [
            reader.lstm(0, sizes.feature, sizes.hidden)?,
            reader.lstm(1, sizes.hidden, sizes.hidden)?,
        ];
        let attention = [
            reader.linear("attention.0", &[sizes.attention, sizes.hidden])?,
            reader.linear("attention.1", &[1, sizes.attention])?,
        ];
        let exits = (0..sizes.channels.len())
            .map(|exit| reader.exit(exit, sizes))
            .collect::<Result<_, _>>()?;
        reader.finish()?;
        Ok(Self {
            lstm_columns: reader.columns(&lstm[0].weight_ih, sizes.feature),
            map,
            data,
            lstm,
            attention,
            exits,
        })
    }

    /// Every weight; a [`Span`] picks a tensor.
    pub(super) fn values(&self) -> &[f32] {
        // Cannot fail: alignment and length were checked at opening.
        bytemuck::try_cast_slice(&self.map[self.data.clone()]).unwrap_or_default()
    }
}

/// Takes tensor after tensor out of a file's header.
struct Reader<'a> {
    file: PathBuf,
    bytes: &'a [u8],
    metadata: &'a Metadata,
    unread: BTreeSet<String>,
}

impl Reader<'_> {
    fn error(&self, tensor: &str, reason: impl Into<String>) -> GatesError {
        GatesError::Tensor {
            file: self.file.clone(),
            tensor: tensor.to_owned(),
            reason: reason.into(),
        }
    }

    fn tensor(&mut self, name: &str, shape: &[usize]) -> Result<Span, GatesError> {
        let Some(info) = self.metadata.info(name) else {
            return Err(self.error(name, "is missing"));
        };
        self.unread.remove(name);
        if info.dtype != Dtype::F32 {
            return Err(self.error(name, format!("is {:?}, expected F32", info.dtype)));
        }
        if info.shape != shape {
            let reason = format!("has the shape {:?}, expected {shape:?}", info.shape);
            return Err(self.error(name, reason));
        }
        let (start, end) = info.data_offsets;
        let Some(bytes) = self.bytes.get(start..end) else {
            return Err(self.error(name, "lies outside the file"));
        };
        match bytemuck::try_cast_slice::<u8, f32>(bytes) {
            Ok(values) if all_finite(values) => {}
            Ok(_) => return Err(self.error(name, "holds a value that is not finite")),
            Err(error) => return Err(self.error(name, format!("cannot be read in place: {error}"))),
        }
        Ok(start / size_of::<f32>()..end / size_of::<f32>())
    }

    /// The matrix at `span`, which has been checked.
    fn matrix(&self, span: &Span) -> &[f32] {
        let values: &[f32] = bytemuck::try_cast_slice(self.bytes).unwrap_or_default();
        values.get(span.clone()).unwrap_or_default()
    }

    /// A copy of the matrix at `span`, of rows of `width` elements, column after
    /// column.
    fn columns(&self, span: &Span, width: usize) -> Vec<f32> {
        let matrix = self.matrix(span);
        let mut columns = vec![0.0; matrix.len()];
        transpose(matrix, width, &mut columns);
        columns
    }

    fn linear(&mut self, name: &str, shape: &[usize]) -> Result<Linear, GatesError> {
        Ok(Linear {
            weight: self.tensor(&format!("{name}.weight"), shape)?,
            bias: self.tensor(&format!("{name}.bias"), &shape[..1])?,
        })
    }

    fn lstm(&mut self, layer: usize, input: usize, hidden: usize) -> Result<LstmLayer, GatesError> {
        let gates = 4 * hidden;
        Ok(LstmLayer {
            weight_ih: self.tensor(&format!("lstm.{layer}.weight_ih"), &[gates, input])?,
            weight_hh: self.tensor(&format!("lstm.{layer}.weight_hh"), &[gates, hidden])?,
            bias_ih: self.tensor(&format!("lstm.{layer}.bias_ih"), &[gates])?,
            bias_hh: self.tensor(&format!("lstm.{layer}.bias_hh"), &[gates])?,
        })
    }

    fn exit(&mut self, exit: usize, sizes: &Sizes) -> Result<ExitHead, GatesError> {
        let (m, d, h) = (sizes.adapter_channels, sizes.feature, sizes.hidden);
        let adapter = format!("exit.{exit}.adapter");
        let channels = sizes.channels[exit];
        let gate = (exit + 1 < sizes.channels.len()).then(|| self.gate(exit, sizes));
        let conv = self.linear(&format!("{adapter}.conv"), &[m, channels])?;
        let fc = self.linear(&format!("{adapter}.fc"), &[d, m * sizes.cells])?;
        Ok(ExitHead {
            gate: gate.transpose()?,
            fc_columns: self.columns(&fc.weight, m * sizes.cells),
            fc,
            conv_panels: panels(self.matrix(&conv.weight), channels),
            conv,
            norm: self.linear(&format!("{adapter}.norm"), &[d])?,
            mix: self.tensor(&format!("exit.{exit}.mix"), &[exit + 1])?,
            classifier: self.linear(&format!("exit.{exit}.classifier"), &[sizes.classes, h])?,
        })
    }

    fn gate(&mut self, exit: usize, sizes: &Sizes) -> Result<GateHead, GatesError> {
        let (g, h) = (sizes.gate_projection, sizes.hidden);
        let gate = format!("exit.{exit}.gate");
        Ok(GateHead {
            previous: self.linear(&format!("{gate}.previous"), &[g, h])?,
            current: self.linear(&format!("{gate}.current"), &[g, h])?,
            mlp: [
                self.linear(&format!("{gate}.mlp.0"), &[MLP[0], 2 * g + 4])?,
                self.linear(&format!("{gate}.mlp.1"), &[MLP[1], MLP[0]])?,
                self.linear(&format!("{gate}.mlp.2"), &[1, MLP[1]])?,
            ],
        })
    }

    fn finish(&self) -> Result<(), GatesError> {
        match self.unread.first() {
            Some(name) => Err(self.error(name, "is not one that the bundle's heads have")),
            None => Ok(()),
        }
    }
}
