//! QDQ files: read, run, refused.

use super::make::{Feature, Net, int};
use super::{Isa, plan, run};
use proptest::prelude::*;
use tract_onnx::pb::{TensorProto, tensor_proto::DataType};

const ISAS: [Isa; 4] = [Isa::Avx512, Isa::Avx2, Isa::Neon, Isa::Portable];

/// A constant of integers.
fn integers(net: &mut Net, kind: DataType, dims: &[usize], values: &[i32]) -> String {
    let name = net.f32s(dims, vec![0.0; values.len()]);
    let tensor: &mut TensorProto = net.graph().initializer.last_mut().unwrap();
    tensor.data_type = kind as i32;
    tensor.raw_data.clear();
    tensor.int32_data = values.to_vec();
    name
}

/// `x` quantised and dequantised.
fn quantised(net: &mut Net, x: &Feature, step: f32, kind: DataType, zero: i32) -> Feature {
    let step = net.f32s(&[], vec![step]);
    let zero = integers(net, kind, &[], &[zero]);
    let q = net.node("QuantizeLinear", &[&x.name, &step, &zero], vec![], &x.dims);
    net.node(
        "DequantizeLinear",
        &[&q.name, &step, &zero],
        vec![],
        &x.dims,
    )
}

const WEIGHTS: [i32; 6] = [127, -128, 3, -50, 0, 77];
const STEPS: [f32; 2] = [0.01, 0.02];

/// Two channels of three, quantised around a 1x1 convolution; signed maps where asked.
fn network(signed: bool, raw: bool) -> Net {
    let (mut net, x) = Net::new(1, &[1, 3, 4, 5]);
    let (kind, less) = if signed {
        (DataType::Int8, 128)
    } else {
        (DataType::Uint8, 0)
    };
    let x = quantised(&mut net, &x, 0.05, kind, 120 - less);
    let steps = net.f32s(&[2], STEPS.to_vec());
    let zeros = integers(&mut net, DataType::Int8, &[2], &[0, 0]);
    let weights = integers(&mut net, DataType::Int8, &[2, 3, 1, 1], &WEIGHTS);
    if raw {
        let tensor = net.graph().initializer.last_mut().unwrap();
        tensor.raw_data = WEIGHTS.iter().map(|w| w.to_le_bytes()[0]).collect();
        tensor.int32_data.clear();
    }
    let axis = || vec![int("axis", 0)];
    let w = net.node(
        "DequantizeLinear",
        &[&weights, &steps, &zeros],
        axis(),
        &[2, 3, 1, 1],
    );
    let units = net.f32s(&[2], STEPS.iter().map(|s| s * 0.05).collect());
    let bias = integers(&mut net, DataType::Int32, &[2], &[400, -9000]);
    let b = net.node("DequantizeLinear", &[&bias, &units], axis(), &[2]);
    let y = net.node("Conv", &[&x.name, &w.name, &b.name], vec![], &[1, 2, 4, 5]);
    let y = quantised(&mut net, &y, 0.1, kind, 100 - less);
    net.output(&y);
    net
}

/// What the network above makes of `x`, in whole numbers up to the last step.
fn expected(x: &[f32]) -> Vec<f32> {
    let whole = |v: f64, zero: f64| (v.round_ties_even() + zero).clamp(0.0, 255.0) - zero;
    let mut y = Vec::new();
    for (o, (bias, step)) in [400.0, -9000.0].iter().zip(STEPS).enumerate() {
        for p in 0..20 {
            let each = (0..3).map(|c| {
                let value = whole(f64::from(x[c * 20 + p] / 0.05), 120.0);
                f64::from(WEIGHTS[o * 3 + c]) * value
            });
            let sum: f64 = bias + each.sum::<f64>();
            let value = whole(
                sum * f64::from(step) * f64::from(0.05_f32) / f64::from(0.1_f32),
                100.0,
            );
            #[expect(clippy::cast_possible_truncation, reason = "a small whole number")]
            y.push(value as f32 * 0.1);
        }
    }
    y
}

#[test]
fn signed_and_unsigned_files_give_what_onnx_says() {
    let x: Vec<f32> = (0..60_u16)
        .map(|i| f32::from(i * 37 % 61) * 0.23 - 7.0)
        .collect();
    for (signed, raw) in [(false, false), (true, false), (true, true)] {
        let net = network(signed, raw);
        for isa in ISAS {
            let Some(plan) = plan(&net, isa) else {
                continue;
            };
            let found = run(&mut plan.unwrap(), &net, &x).remove(0);
            for (found, expected) in found.iter().zip(expected(&x)) {
                let near = (found - expected).abs() < 1e-5;
                assert!(near, "{isa:?}, signed {signed}: {found}, not {expected}");
            }
        }
    }
}

/// The refusal of the network above after a change.
fn changed(change: impl FnOnce(&mut Net)) -> String {
    let mut net = network(false, false);
    change(&mut net);
    let refusal = plan(&net, Isa::Portable).unwrap().unwrap_err().to_string();
    assert!(!refusal.contains('\n'), "{refusal}");
    refusal
}

#[test]
fn files_that_quantise_in_other_ways_are_refused() {
    for step in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e-45] {
        let refusal =
            changed(|net| net.graph().initializer[0].raw_data = step.to_le_bytes().to_vec());
        assert!(
            refusal.contains("QuantizeLinear") && refusal.contains("scale"),
            "{refusal}"
        );
    }
    let other = changed(|net| {
        let step = net.f32s(&[], vec![0.07]);
        net.graph().node[1].input[1] = step;
    });
    assert!(other.contains("not that of the QuantizeLinear"), "{other}");
    let bytes = changed(|net| {
        let q = net.graph().node[0].output[0].clone();
        let at = net
            .graph()
            .node
            .iter()
            .position(|n| n.op_type == "Conv")
            .unwrap();
        net.graph().node[at].input[0] = q;
    });
    assert!(
        bytes.contains("Conv") && bytes.contains("8-bit values"),
        "{bytes}"
    );
    let several = changed(|net| {
        let steps = net.f32s(&[2], vec![0.05, 0.06]);
        net.graph().node[0].input[1] = steps;
    });
    assert!(several.contains("more than one scale"), "{several}");
    let wide = changed(|net| net.graph().initializer[1].int32_data = vec![300]);
    assert!(wide.contains("zero point is 300"), "{wide}");
    let floats = changed(|net| {
        let x = net.graph().input[0].name.clone();
        net.graph().node[1].input[0] = x;
    });
    assert!(floats.contains("not of 8-bit values"), "{floats}");
    let blocks = changed(|net| net.graph().node[0].attribute.push(int("block_size", 2)));
    assert!(blocks.contains("block_size"), "{blocks}");
    let scales = changed(|net| {
        let steps = net.f32s(&[3], vec![0.1; 3]);
        net.graph().node[2].input[1] = steps;
    });
    assert!(scales.contains("one for each channel"), "{scales}");
}

proptest! {
    #[test]
    fn a_damaged_file_never_panics(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let net = network(true, true);
        let mut bytes = net.encode();
        for (at, value) in &flips {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        let kernels = super::Kernels::detect();
        if let Ok(mut plan) = super::Network::read(kernels, &bytes, net.input(), &net.outputs()) {
            run(&mut plan, &net, &[0.5; 60]);
        }
    }
}
