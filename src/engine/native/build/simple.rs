//! Element-wise nodes, batch norm, and those that only rename or reshape.

use super::super::graph::{Op, Tensor};
use super::super::kernels::{Act, Curve};
use super::super::onnx::Attributes;
use super::conv::pads;
use super::{Builder, Built, Value, impossible, unsupported};
use tract_onnx::pb::NodeProto;

fn curve(curve: Curve) -> Act {
    Act {
        curve: Some(curve),
        ..Act::NONE
    }
}

impl<'m> Builder<'m> {
    pub(super) fn same(&mut self, node: &'m NodeProto) -> Built<()> {
        let first = node.input.first().map_or("", String::as_str);
        if let (Some(constant), [output]) = (self.constants.get(first), node.output.as_slice()) {
            let constant = constant.clone();
            self.constants.insert(output.clone(), constant);
            return Ok(());
        }
        if node.op_type == "Dropout" && self.constant(node, 2)?.is_some() {
            return unsupported("it may be in training mode");
        }
        let value = self.padded_input(node, 0)?;
        self.name(node, value)
    }

    pub(super) fn batch_norm(&mut self, node: &'m NodeProto) -> Built<()> {
        let value = self.input(node, 0)?;
        let of = self.shape(value.tensor);
        if node.int("training_mode", 0) != 0 {
            return unsupported("it is in training mode");
        }
        if value.flat && of.pixels() != 1 {
            return unsupported("its input is flat");
        }
        let mut parts = Vec::with_capacity(4);
        for i in 1..5 {
            match self.f32s(node, i, of.c)? {
                Some(values) => parts.push(values),
                None => return impossible(format!("it has no input {i}")),
            }
        }
        let epsilon = node.float("epsilon", 1e-5);
        let scale = parts[0].iter().zip(&parts[3]);
        let scale: Vec<f32> = scale.map(|(s, var)| s / (var + epsilon).sqrt()).collect();
        let shift = parts[1].iter().zip(&parts[2]).zip(&scale);
        let shift = shift.map(|((b, mean), s)| b - mean * s).collect();
        let op = Op::Affine { scale, shift };
        self.push(node, op, vec![value.tensor], (of.c, of.h, of.w), value.flat)
    }

    pub(super) fn activation(&mut self, node: &'m NodeProto) -> Built<()> {
        let value = self.input(node, 0)?;
        let act = match node.op_type.as_str() {
            "Relu" => Act {
                clamp: (0.0, f32::INFINITY),
                curve: None,
            },
            "Clip" => self.clip(node)?,
            "Sigmoid" => curve(Curve::Sigmoid),
            "HardSwish" => curve(Curve::HardSwish),
            _ => curve(Curve::HardSigmoid {
                alpha: node.float("alpha", 0.2),
                beta: node.float("beta", 0.5),
            }),
        };
        let Tensor { c, h, w } = self.shape(value.tensor);
        self.push(
            node,
            Op::Act(act),
            vec![value.tensor],
            (c, h, w),
            value.flat,
        )
    }

    fn clip(&self, node: &'m NodeProto) -> Built<Act> {
        let bound = |i: usize, name: &str, default: f32| -> Built<f32> {
            if self.opset < 11 {
                return Ok(node.float(name, default));
            }
            Ok(self.f32s(node, i, 1)?.map_or(default, |v| v[0]))
        };
        let clamp = (
            bound(1, "min", f32::NEG_INFINITY)?,
            bound(2, "max", f32::INFINITY)?,
        );
        if clamp.0.is_nan() || clamp.1.is_nan() {
            return impossible("a bound is not a number");
        }
        Ok(Act { clamp, curve: None })
    }

    /// One constant operand of a sum or product, for each of `c` channels;
    /// `None` where neither input is a constant.
    fn per_channel(&self, node: &'m NodeProto) -> Built<Option<(Value, Vec<f32>)>> {
        let name = |i: usize| node.input.get(i).map_or("", String::as_str);
        let constant = (0..2).find_map(|i| Some((i, self.constants.get(name(i))?)));
        let Some((i, constant)) = constant else {
            return Ok(None);
        };
        let value = self.input(node, 1 - i)?;
        let of = self.shape(value.tensor);
        let Some(values) = constant.f32s() else {
            return unsupported("its constant is not of 32-bit floats");
        };
        let dims = constant.dims.as_slice();
        let by_channel = match (value.flat, dims) {
            (true, &[n] | &[1, n]) => of.pixels() == 1 && n == of.c,
            (false, &[n, 1, 1] | &[1, n, 1, 1]) => n == of.c,
            _ => false,
        };
        match values {
            [one] => Ok(Some((value, vec![*one; of.c]))),
            _ if by_channel => Ok(Some((value, values.to_vec()))),
            _ => unsupported(format!("a constant {dims:?} is not one value per channel")),
        }
    }

    fn affine(&mut self, node: &'m NodeProto, value: Value, op: Op) -> Built<()> {
        let Tensor { c, h, w } = self.shape(value.tensor);
        self.push(node, op, vec![value.tensor], (c, h, w), value.flat)
    }

    pub(super) fn add(&mut self, node: &'m NodeProto) -> Built<()> {
        if let Some((value, shift)) = self.per_channel(node)? {
            let scale = vec![1.0; shift.len()];
            return self.affine(node, value, Op::Affine { scale, shift });
        }
        let (a, b) = (self.input(node, 0)?, self.input(node, 1)?);
        let of = self.shape(a.tensor);
        if of != self.shape(b.tensor) || a.flat != b.flat {
            return unsupported("its operands differ in shape");
        }
        let inputs = vec![a.tensor, b.tensor];
        self.push(node, Op::Add(Act::NONE), inputs, (of.c, of.h, of.w), a.flat)
    }

    pub(super) fn mul(&mut self, node: &'m NodeProto) -> Built<()> {
        if let Some((value, scale)) = self.per_channel(node)? {
            let shift = vec![0.0; scale.len()];
            return self.affine(node, value, Op::Affine { scale, shift });
        }
        let (a, b) = (self.input(node, 0)?, self.input(node, 1)?);
        let (x, y) = (self.shape(a.tensor), self.shape(b.tensor));
        if a.flat != b.flat {
            return unsupported("its operands differ in shape");
        }
        for (x, gate) in [(a, b), (b, a)] {
            if let Some(act) = self.gated(x.tensor, gate.tensor) {
                let Tensor { c, h, w } = self.shape(x.tensor);
                return self.push(node, Op::Act(act), vec![x.tensor], (c, h, w), x.flat);
            }
        }
        for ((x, of), (gate, by)) in [((a, x), (b, y)), ((b, y), (a, x))] {
            if by.pixels() == 1 && by.c == of.c {
                let inputs = vec![x.tensor, gate.tensor];
                let shape = (of.c, of.h, of.w);
                return self.push(node, Op::Gate(Act::NONE), inputs, shape, x.flat);
            }
        }
        unsupported("neither operand is one value per channel, nor a sigmoid of the other")
    }

    /// The activation that `x` times `gate` is, where `gate` is a sigmoid of `x`.
    fn gated(&self, x: usize, gate: usize) -> Option<Act> {
        let maker = &self.graph.nodes[*self.makers.get(&gate)?];
        let Op::Act(act) = &maker.op else { return None };
        if maker.inputs != [x] {
            return None;
        }
        match act.curve? {
            Curve::Sigmoid => Some(curve(Curve::Silu)),
            Curve::HardSigmoid { alpha, beta }
                if (alpha - 1.0 / 6.0).abs() < 1e-6 && (beta - 0.5).abs() < 1e-6 =>
            {
                Some(curve(Curve::HardSwish))
            }
            _ => None,
        }
    }

    pub(super) fn pad(&mut self, node: &'m NodeProto) -> Built<()> {
        let value = self.input(node, 0)?;
        let mode = node.word("mode");
        if value.flat || !(mode.is_empty() || mode == "constant") {
            return unsupported(format!("its mode is {mode:?}"));
        }
        let given = self.constant(node, 1)?.and_then(|c| c.i64s());
        let given = given.or(node.ints("pads")).unwrap_or_default();
        let fill = self
            .f32s(node, 2, 1)?
            .map_or(node.float("value", 0.0), |v| v[0]);
        if self.constant(node, 3)?.is_some() || fill != 0.0 {
            return unsupported("it has axes, or pads with something else than zeros");
        }
        let pads = match *given {
            [0, 0, top, left, 0, 0, bottom, right] => pads(&[top, left, bottom, right])?,
            _ => return unsupported(format!("its pads are {given:?}")),
        };
        self.name(
            node,
            Value {
                pads: Some(pads),
                ..value
            },
        )
    }

    pub(super) fn reshape(&mut self, node: &'m NodeProto) -> Built<()> {
        let value = self.input(node, 0)?;
        let of = self.shape(value.tensor);
        let elements = of.c * of.pixels();
        let flat = match node.op_type.as_str() {
            "Flatten" => match node.int("axis", 1) {
                1 | -3 if !value.flat => true,
                1 | -1 if value.flat => true,
                axis => return unsupported(format!("its axis is {axis}, not 1")),
            },
            "Squeeze" => {
                let given = self.constant(node, 1)?.and_then(|c| c.i64s());
                let axes = given.or(node.ints("axes")).unwrap_or_default();
                if of.pixels() != 1 || !matches!(axes, [2, 3] | [-2, -1] | [3, 2] | [-1, -2]) {
                    return unsupported(format!("its axes are {axes:?}, not [2, 3]"));
                }
                true
            }
            _ => {
                let Some(to) = self.constant(node, 1)?.and_then(|c| c.i64s()) else {
                    return unsupported("its shape is not a constant");
                };
                let from = if value.flat {
                    vec![1, elements]
                } else {
                    vec![1, of.c, of.h, of.w]
                };
                reshaped(to, &from, of)?
            }
        };
        self.name(node, Value { flat, ..value })
    }
}

/// Whether `to` means the flat shape of a feature map rather than its own.
fn reshaped(to: &[i64], from: &[usize], of: Tensor) -> Built<bool> {
    let elements = of.c * of.pixels();
    let known = |i: usize, d: i64| match d {
        0 => from.get(i).copied(),
        -1 => None,
        d => usize::try_from(d).ok(),
    };
    let dims: Vec<Option<usize>> = to.iter().enumerate().map(|(i, &d)| known(i, d)).collect();
    let product = |dims: &[Option<usize>]| {
        dims.iter()
            .flatten()
            .try_fold(1_usize, |n, d| n.checked_mul(*d))
    };
    let rest = product(&dims).filter(|n| *n > 0).map(|n| elements / n);
    let dims: Vec<usize> = dims.iter().filter_map(|d| d.or(rest)).collect();
    if dims == [1, elements] {
        Ok(true)
    } else if dims == [1, of.c, of.h, of.w] {
        Ok(false)
    } else {
        unsupported(format!(
            "its shape is {to:?}, neither flat nor that of its input"
        ))
    }
}
