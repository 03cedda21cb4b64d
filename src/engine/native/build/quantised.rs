//! QuantizeLinear and DequantizeLinear: of maps, one step and zero for all of it; of
//! constants, also one for each output channel.

use super::super::graph::{Op, Quant, Tensor};
use super::super::onnx::{Attributes, Constant, Data, Integer};
use super::{Builder, Built, impossible, unsupported};
use tract_onnx::pb::NodeProto;

/// A step that a product of floats can undo.
fn is_step(step: f32) -> bool {
    step.is_normal() && step > 0.0 && step.recip().is_normal()
}

impl<'m> Builder<'m> {
    fn scales(&self, node: &'m NodeProto) -> Built<Vec<f32>> {
        let Some(scales) = self.constant(node, 1)? else {
            return impossible("it has no scale");
        };
        match scales.f32s() {
            Some(values) if !values.is_empty() && values.iter().all(|v| is_step(*v)) => {
                Ok(values.to_vec())
            }
            Some(_) => unsupported("a scale is not a positive number"),
            None => unsupported("its scale is not of 32-bit floats"),
        }
    }

    /// The zeros and their type; unsigned bytes where they are left out.
    fn zeros(&self, node: &'m NodeProto) -> Built<Option<(Integer, Vec<i32>)>> {
        match self.constant(node, 2)?.map(Constant::quantised) {
            None => Ok(None),
            Some(Some((kind, values))) => Ok(Some((kind, values.to_vec()))),
            Some(None) => unsupported("its zero point is not of 8 or 32 bits"),
        }
    }

    /// Step and zero of a map.
    fn quant(&self, node: &'m NodeProto) -> Built<Quant> {
        if node.int("block_size", 0) != 0 {
            return unsupported("its block_size is not 0");
        }
        let scales = self.scales(node)?;
        let zero = match self.zeros(node)? {
            None => 0,
            Some((Integer::U8, values)) if values.len() == 1 => values[0],
            Some((Integer::I8, values)) if values.len() == 1 => values[0] + 128,
            Some(_) => return unsupported("its zero point is not one byte"),
        };
        match (scales.as_slice(), u8::try_from(zero)) {
            (&[step], Ok(zero)) => Ok(Quant { step, zero }),
            (_, Err(_)) => impossible(format!("its zero point is {zero}")),
            _ => unsupported("it has more than one scale"),
        }
    }

    pub(super) fn quantize(&mut self, node: &'m NodeProto) -> Built<()> {
        let value = self.input(node, 0)?;
        let quant = self.quant(node)?;
        let Tensor { c, h, w } = self.shape(value.tensor);
        let inputs = vec![value.tensor];
        self.push(node, Op::Quantise(quant), inputs, (c, h, w), value.flat)?;
        let made = self.graph.tensors.len() - 1;
        self.quants.insert(made, quant);
        Ok(())
    }

    pub(super) fn dequantize(&mut self, node: &'m NodeProto) -> Built<()> {
        let name = node.input.first().map_or("", String::as_str);
        if let Some(constant) = self.constants.get(name) {
            let constant = self.dequantised(node, constant)?;
            let [output] = node.output.as_slice() else {
                return unsupported(format!("it has {} outputs, not one", node.output.len()));
            };
            if self.values.contains_key(output.as_str()) {
                return impossible(format!("it makes {output:?} a second time"));
            }
            self.constants.insert(output.clone(), constant);
            return Ok(());
        }
        let Some(value) = self.values.get(name).copied() else {
            return impossible(format!("it reads {name:?}, which no node before it makes"));
        };
        let Some(made) = self.quants.get(&value.tensor).copied() else {
            return unsupported("its input is not of 8-bit values");
        };
        if self.quant(node)? != made {
            return unsupported("its scale or zero point is not that of the QuantizeLinear");
        }
        let Tensor { c, h, w } = self.shape(value.tensor);
        let inputs = vec![value.tensor];
        self.push(node, Op::Dequantise(made), inputs, (c, h, w), value.flat)
    }

    /// A constant as the floats that it stands for.
    fn dequantised(&self, node: &'m NodeProto, constant: &Constant) -> Built<Constant> {
        let Some((_, values)) = constant.quantised() else {
            return unsupported("its constant is not of 8 or 32 bits");
        };
        let scales = self.scales(node)?;
        let zeros = self.zeros(node)?.map_or(vec![0], |(_, zeros)| zeros);
        let rank = i64::try_from(constant.dims.len()).unwrap_or(i64::MAX);
        let axis = match node.int("axis", 1) {
            axis if axis < 0 => axis + rank,
            axis => axis,
        };
        let axis = usize::try_from(axis).unwrap_or(usize::MAX);
        let along = constant.dims.get(axis).copied().unwrap_or(1);
        let fits = |len: usize| len == 1 || len == along;
        if node.int("block_size", 0) != 0 || !fits(scales.len()) || !fits(zeros.len()) {
            return unsupported("its scales are not one, nor one for each channel");
        }
        let inner: usize = constant.dims.iter().skip(axis + 1).product();
        let at = |i: usize, len: usize| {
            if len == 1 {
                0
            } else {
                i / inner.max(1) % along
            }
        };
        #[expect(
            clippy::cast_precision_loss,
            reason = "bytes are exact; the bits that a bias of 32 loses are below its step's"
        )]
        let float = |(i, v): (usize, &i32)| {
            let zero = zeros[at(i, zeros.len())];
            (i64::from(*v) - i64::from(zero)) as f32 * scales[at(i, scales.len())]
        };
        Ok(Constant {
            dims: constant.dims.clone(),
            data: Data::F32(values.iter().enumerate().map(float).collect()),
            steps: Some((axis, scales)),
        })
    }

    /// The steps of weights whose `axis` counts the `out` output channels; none where
    /// they are not known.
    pub(super) fn steps(&self, node: &'m NodeProto, axis: usize, out: usize) -> Built<Vec<f32>> {
        let steps = self.constant(node, 1)?.and_then(|c| c.steps.as_ref());
        Ok(match steps {
            Some((_, steps)) if steps.len() == 1 => vec![steps[0]; out],
            Some((along, steps)) if *along == axis && steps.len() == out => steps.clone(),
            _ => Vec::new(),
        })
    }
}
