//! Convolutions, products and pools.

use super::super::graph::{Conv, Op, Pads, Pool, Reach, Tensor, Window};
use super::super::kernels::Act;
use super::super::onnx::Attributes;
use super::{Builder, Built, Value, impossible, unsupported};
use tract_onnx::pb::NodeProto;

/// A pair of positive sizes from a list of two; `default` where it is missing.
fn pair(node: &NodeProto, name: &str, default: Option<(usize, usize)>) -> Built<(usize, usize)> {
    let Some(values) = node.ints(name) else {
        return default.map_or_else(|| impossible(format!("it has no {name}")), Ok);
    };
    let size = |v: i64| {
        usize::try_from(v)
            .ok()
            .filter(|v| (1..=1 << 16).contains(v))
    };
    match *values {
        [a, b] => match (size(a), size(b)) {
            (Some(a), Some(b)) => Ok((a, b)),
            _ => impossible(format!("its {name} are {values:?}")),
        },
        _ => unsupported(format!("its {name} are {values:?}, not two")),
    }
}

/// Four pads, none negative, as `[top, left, bottom, right]`.
pub(super) fn pads(values: &[i64]) -> Built<Pads> {
    let size = |v: i64| usize::try_from(v).ok().filter(|v| *v <= 1 << 16);
    let &[top, left, bottom, right] = values else {
        return unsupported(format!("its pads are {values:?}, not four"));
    };
    match (size(top), size(left), size(bottom), size(right)) {
        (Some(top), Some(left), Some(bottom), Some(right)) => Ok(Pads {
            top,
            left,
            bottom,
            right,
        }),
        _ => unsupported(format!("its pads are {values:?}")),
    }
}

/// The pads that make `ceil(size / stride)` pixels; the odd one behind, or
/// before where `lower`.
fn same(size: usize, kernel: usize, stride: usize, lower: bool) -> (usize, usize) {
    let span = (size.div_ceil(stride) - 1) * stride + kernel;
    let total = span.saturating_sub(size);
    let small = total / 2;
    if lower {
        (total - small, small)
    } else {
        (small, total - small)
    }
}

fn window(node: &NodeProto, kernel: (usize, usize), of: Tensor) -> Built<Window> {
    if pair(node, "dilations", Some((1, 1)))? != (1, 1) {
        return unsupported("its dilations are not 1");
    }
    let stride = pair(node, "strides", Some((1, 1)))?;
    let auto = node.word("auto_pad");
    let pads = match auto.as_str() {
        "" | "NOTSET" => pads(node.ints("pads").unwrap_or(&[0; 4]))?,
        "VALID" => Pads::default(),
        "SAME_UPPER" | "SAME_LOWER" => {
            let lower = auto == "SAME_LOWER";
            let (top, bottom) = same(of.h, kernel.0, stride.0, lower);
            let (left, right) = same(of.w, kernel.1, stride.1, lower);
            Pads {
                top,
                left,
                bottom,
                right,
            }
        }
        other => return impossible(format!("its auto_pad is {other:?}")),
    };
    Ok(Window {
        kernel,
        stride,
        pads,
    })
}

fn output(window: &Window, of: Tensor) -> Built<(usize, usize)> {
    match window.output(of.h, of.w) {
        Some(size) => Ok(size),
        None => impossible(format!(
            "its kernel {:?} is larger than the padded image",
            window.kernel
        )),
    }
}

impl<'m> Builder<'m> {
    pub(super) fn conv(&mut self, node: &'m NodeProto) -> Built<()> {
        let value = self.padded_input(node, 0)?;
        let of = self.shape(value.tensor);
        if value.flat {
            return impossible("its input is flat");
        }
        let Some(weights) = self.constant(node, 1)? else {
            return impossible("it has no weights");
        };
        let &[out, of_group, kh, kw] = weights.dims.as_slice() else {
            return unsupported(format!("its weights are {:?}", weights.dims));
        };
        let group = usize::try_from(node.int("group", 1)).unwrap_or(0);
        let reach = match group {
            1 if of_group == of.c => Reach::Dense,
            g if g > 1 && g == of.c && g == out && of_group == 1 => Reach::Depthwise,
            g if g >= 1 && of_group.checked_mul(g) == Some(of.c) => {
                return unsupported(format!(
                    "{g} groups of {of_group} channels, neither dense nor depthwise"
                ));
            }
            g => {
                return impossible(format!(
                    "weights {:?} in {g} groups on {} channels",
                    weights.dims, of.c
                ));
            }
        };
        if out == 0 || kh == 0 || kw == 0 {
            return impossible(format!("its weights are {:?}", weights.dims));
        }
        if pair(node, "kernel_shape", Some((kh, kw)))? != (kh, kw) {
            return impossible(format!(
                "its kernel_shape is not that of its weights {:?}",
                weights.dims
            ));
        }
        let mut window = window(node, (kh, kw), of)?;
        if let Some(more) = value.pads {
            window.pads.top += more.top;
            window.pads.left += more.left;
            window.pads.bottom += more.bottom;
            window.pads.right += more.right;
        }
        let size = output(&window, of)?;
        let len = out * of_group * kh * kw;
        let conv = Conv {
            reach,
            window,
            weights: self.f32s(node, 1, len)?.unwrap_or_default(),
            bias: self.f32s(node, 2, out)?.unwrap_or_else(|| vec![0.0; out]),
            steps: self.steps(node, 0, out)?,
            residual: None,
            gate: None,
            act: Act::NONE,
        };
        let op = Op::Conv(Box::new(conv));
        self.push(node, op, vec![value.tensor], (out, size.0, size.1), false)
    }

    /// A product with a flat input is a convolution whose kernel is the image.
    fn product(
        &mut self,
        node: &'m NodeProto,
        value: Value,
        (weights, bias, steps): (Vec<f32>, Vec<f32>, Vec<f32>),
    ) -> Built<()> {
        let of = self.shape(value.tensor);
        let out = bias.len();
        let conv = Conv {
            reach: Reach::Dense,
            window: Window {
                kernel: (of.h, of.w),
                stride: (1, 1),
                pads: Pads::default(),
            },
            weights,
            bias,
            steps,
            residual: None,
            gate: None,
            act: Act::NONE,
        };
        let op = Op::Conv(Box::new(conv));
        self.push(node, op, vec![value.tensor], (out, 1, 1), true)
    }

    /// Constant input 1 as `[out][in]`, `transposed` as it is stored.
    fn matrix(
        &self,
        node: &'m NodeProto,
        value: Value,
        transposed: bool,
    ) -> Built<(usize, Vec<f32>)> {
        let of = self.shape(value.tensor);
        if !value.flat {
            return unsupported("its input is not flat");
        }
        let Some(weights) = self.constant(node, 1)? else {
            return impossible("it has no weights");
        };
        let (&[rows, columns], Some(values)) = (weights.dims.as_slice(), weights.f32s()) else {
            return unsupported(format!("its weights are {:?}", weights.dims));
        };
        let (out, inner) = if transposed {
            (rows, columns)
        } else {
            (columns, rows)
        };
        if inner != of.c * of.pixels() || out == 0 {
            return impossible(format!(
                "weights {:?} on {} elements",
                weights.dims,
                of.c * of.pixels()
            ));
        }
        if transposed {
            return Ok((out, values.to_vec()));
        }
        let by_row = (0..out).flat_map(|n| (0..inner).map(move |k| values[k * out + n]));
        Ok((out, by_row.collect()))
    }

    pub(super) fn gemm(&mut self, node: &'m NodeProto) -> Built<()> {
        let value = self.input(node, 0)?;
        let plain = |name, default: f32| node.float(name, default).to_bits() == 1_f32.to_bits();
        if node.int("transA", 0) != 0 || !plain("alpha", 1.0) || !plain("beta", 1.0) {
            return unsupported("transA, alpha or beta is not the default");
        }
        let transposed = node.int("transB", 0) != 0;
        let (out, weights) = self.matrix(node, value, transposed)?;
        let steps = self.steps(node, usize::from(!transposed), out)?;
        let bias = match self.constant(node, 2)?.map(|c| c.f32s()) {
            None => vec![0.0; out],
            Some(Some(&[one])) => vec![one; out],
            Some(_) => self.f32s(node, 2, out)?.unwrap_or_default(),
        };
        self.product(node, value, (weights, bias, steps))
    }

    pub(super) fn matmul(&mut self, node: &'m NodeProto) -> Built<()> {
        let value = self.input(node, 0)?;
        let (out, weights) = self.matrix(node, value, false)?;
        let steps = self.steps(node, 1, out)?;
        self.product(node, value, (weights, vec![0.0; out], steps))
    }

    pub(super) fn average_pool(&mut self, node: &'m NodeProto) -> Built<()> {
        let value = self.input(node, 0)?;
        let of = self.shape(value.tensor);
        if value.flat {
            return impossible("its input is flat");
        }
        let kernel = pair(node, "kernel_shape", None)?;
        let window = window(node, kernel, of)?;
        let size = output(&window, of)?;
        let Pads {
            top,
            left,
            bottom,
            right,
        } = window.pads;
        if top.max(bottom) >= kernel.0 || left.max(right) >= kernel.1 {
            return unsupported("a window may lie wholly in the padding");
        }
        let rest =
            |size: usize, kernel: usize, stride: usize| !(size - kernel).is_multiple_of(stride);
        if node.int("ceil_mode", 0) != 0
            && (rest(of.h + top + bottom, kernel.0, window.stride.0)
                || rest(of.w + left + right, kernel.1, window.stride.1))
        {
            return unsupported("its ceil_mode is not 0");
        }
        let op = Op::Pool(Pool {
            window,
            count_padding: node.int("count_include_pad", 0) != 0,
        });
        self.push(node, op, vec![value.tensor], (of.c, size.0, size.1), false)
    }

    pub(super) fn global_pool(&mut self, node: &'m NodeProto) -> Built<()> {
        let value = self.input(node, 0)?;
        let of = self.shape(value.tensor);
        if value.flat {
            return impossible("its input is flat");
        }
        let mut flat = false;
        if node.op_type == "ReduceMean" {
            let given = self.constant(node, 1)?.and_then(|c| c.i64s());
            let mut axes = given.or(node.ints("axes")).unwrap_or_default().to_vec();
            axes.iter_mut()
                .for_each(|a| *a = if *a < 0 { *a + 4 } else { *a });
            axes.sort_unstable();
            if axes != [2, 3] {
                return unsupported(format!("its axes are {axes:?}, not [2, 3]"));
            }
            flat = node.int("keepdims", 1) == 0;
        }
        let window = Window {
            kernel: (of.h, of.w),
            stride: (1, 1),
            pads: Pads::default(),
        };
        let op = Op::Pool(Pool {
            window,
            count_padding: false,
        });
        self.push(node, op, vec![value.tensor], (of.c, 1, 1), flat)
    }
}
