//! Files that cannot be networks, or not ones of this engine: each gives one
//! sentence that names the node, and none panics.

use super::make::{Feature, Geometry, Net, int, ints};
use super::{Isa, Refusal, plan};
use crate::engine::native::Network;
use crate::engine::native::kernels::Kernels;
use proptest::prelude::*;
use tract_onnx::pb::{NodeProto, tensor_proto::DataLocation};

const POINT: Geometry = Geometry::POINT;

/// A network of a stem, a block with squeeze-excite, and a head.
fn good() -> Net {
    let (mut net, x) = Net::new(3, &[1, 3, 12, 12]);
    let around = Geometry {
        kernel: (3, 3),
        stride: (2, 2),
        pads: [1; 4],
    };
    let y = net.conv(&x, Some(8), around);
    let y = net.act(&y, 2);
    let y = net.conv(
        &y,
        None,
        Geometry {
            stride: (1, 1),
            ..around
        },
    );
    let y = net.act(&y, 3);
    let y = net.excite(&y, 2);
    let y = net.conv(&y, Some(6), POINT);
    net.output(&y);
    let pooled = net.global_pool(&y);
    let pooled = net.gemm(&pooled, 4);
    net.output(&pooled);
    net
}

fn refused(net: &Net) -> Refusal {
    plan(net, Isa::Portable).unwrap().unwrap_err()
}

/// The refusal of [`good`] after a change.
fn changed(change: impl FnOnce(&mut Net)) -> String {
    let mut net = good();
    change(&mut net);
    let refusal = refused(&net);
    assert!(!refusal.to_string().contains('\n'), "{refusal}");
    refusal.to_string()
}

fn first<'n>(net: &'n mut Net, op: &str) -> &'n mut NodeProto {
    let nodes = &mut net.model.graph.as_mut().unwrap().node;
    nodes.iter_mut().find(|n| n.op_type == op).unwrap()
}

#[test]
fn the_network_that_is_spoiled_below_is_good() {
    assert!(plan(&good(), Isa::Portable).unwrap().is_ok());
}

#[test]
fn nodes_outside_the_set_are_named() {
    let node = |op: &'static str| changed(move |net| first(net, "Sigmoid").op_type = op.into());
    for op in ["Erf", "MaxPool", "Softmax", ""] {
        assert!(
            node(op).starts_with(&format!("{op} \"Sigmoid_")),
            "{}",
            node(op)
        );
    }
    for (attribute, word) in [
        (ints("dilations", &[2, 2]), "dilations"),
        (ints("strides", &[2]), "strides"),
        (ints("strides", &[0, 1]), "strides"),
        (ints("pads", &[1, 1]), "pads"),
        (ints("pads", &[1 << 40, 1, 1, 1]), "pads"),
        (int("group", 2), "groups"),
        (ints("kernel_shape", &[5, 5]), "kernel_shape"),
    ] {
        let name = attribute.name.clone();
        let error = changed(|net| {
            let conv = first(net, "Conv");
            conv.attribute.retain(|a| a.name != name);
            conv.attribute.push(attribute);
        });
        assert!(error.starts_with("Conv \"Conv_t"), "{error}");
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn a_graph_that_does_not_hang_together_is_refused() {
    let cycle = changed(|net| {
        let last = net.graph().node.last().unwrap().output[0].clone();
        first(net, "Conv").input[0] = last;
    });
    assert!(cycle.contains("which no node before it makes"), "{cycle}");
    let missing = changed(|net| first(net, "Conv").input[1] = "nowhere".into());
    assert!(
        missing.contains("\"nowhere\", which is not in the file"),
        "{missing}"
    );
    let twice = changed(|net| {
        let again = first(net, "Conv").clone();
        net.graph().node.push(again);
    });
    assert!(twice.contains("a second time"), "{twice}");
    let outputs = changed(|net| net.graph().output.truncate(1));
    assert!(outputs.contains("the outputs are"), "{outputs}");
    let input = changed(|net| net.graph().input[0].name = "y".into());
    assert!(
        input.contains("the inputs are [\"y\"], not [\"x\"]"),
        "{input}"
    );
    assert!(changed(|net| net.graph().node.clear()).contains("no node makes the output"));
    assert!(changed(|net| net.model.graph = None).contains("no graph"));
    assert!(changed(|net| net.model.opset_import.clear()).contains("operator set"));
    assert!(changed(|net| net.model.opset_import[0].version = 3).contains("operator set 3"));
}

#[test]
fn weights_that_do_not_fit_are_refused() {
    let weights = |change: fn(&mut tract_onnx::pb::TensorProto)| {
        changed(|net| change(&mut net.graph().initializer[0]))
    };
    let short = weights(|t| t.raw_data.truncate(9));
    assert!(short.contains("initialiser \"t0\""), "{short}");
    assert!(weights(|t| t.dims = vec![i64::MAX, i64::MAX]).contains("more than"));
    assert!(weights(|t| t.dims = vec![-8, -27]).contains("a dimension of -8"));
    assert!(
        weights(|t| t.data_location = Some(DataLocation::External as i32)).contains("another file")
    );
    let shape = weights(|t| t.dims = vec![8, 27]);
    assert!(shape.starts_with("Conv \"Conv_t"), "{shape}");
    assert!(weights(|t| t.dims = vec![4, 6, 3, 3]).starts_with("Conv \"Conv_t"));
    let twice = changed(|net| {
        let again = net.graph().initializer[0].clone();
        net.graph().initializer.push(again);
    });
    assert!(twice.contains("twice"), "{twice}");
}

#[test]
fn shapes_must_be_those_asked_for() {
    let net = good();
    let kernels = Kernels::of(Isa::Portable).unwrap();
    let outputs = net.outputs();
    let read = |input: &[usize], outputs: &[(&str, &[usize])]| {
        Network::read(kernels, &net.encode(), ("x", input), outputs).map(|_| ())
    };
    assert_eq!(read(&[1, 3, 12, 12], &outputs), Ok(()));
    let error = read(&[1, 3, 12, 13], &outputs).unwrap_err().to_string();
    assert!(
        error.contains("[1, 3, 12, 12]") && error.contains("[1, 3, 12, 13]"),
        "{error}"
    );
    let other = [outputs[0], (outputs[1].0, &[1, 4, 1, 1][..])];
    assert!(read(&[1, 3, 12, 12], &other).is_err());
}

/// Feature maps far larger than the file that asks for them.
#[test]
fn networks_that_would_not_fit_in_memory_are_refused() {
    let (mut net, x) = Net::new(1, &[1, 1, 4, 4]);
    let huge = Geometry {
        kernel: (1, 1),
        stride: (1, 1),
        pads: [1 << 16; 4],
    };
    let y = net.conv(&x, Some(1), huge);
    net.output(&y);
    assert!(refused(&net).to_string().contains("elements"));
    let (mut net, x) = Net::new(1, &[1, 1, 4, 4]);
    let padded = Geometry {
        pads: [2700; 4],
        ..huge
    };
    let y = net.conv(&x, Some(1), padded);
    let y: Feature = net.conv(&y, Some(8), POINT);
    net.output(&y);
    assert!(
        refused(&net).to_string().contains("MiB"),
        "{}",
        refused(&net)
    );
}

proptest! {
    #[test]
    fn any_bytes_give_an_error_or_a_plan(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let kernels = Kernels::detect();
        let refused = Network::read(kernels, &bytes, ("x", &[1, 3, 8, 8]), &[("y", &[1, 3, 8, 8])]);
        prop_assert!(refused.is_err());
    }

    #[test]
    fn a_damaged_file_never_panics(cut in any::<prop::sample::Index>(), flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6)) {
        let net = good();
        let mut bytes = net.encode();
        for (at, value) in &flips {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        if flips.is_empty() {
            let len = cut.index(bytes.len());
            bytes.truncate(len);
        }
        // Whatever the damage, there is an answer; a flipped weight is a good file.
        let plan = Network::read(Kernels::detect(), &bytes, net.input(), &net.outputs());
        if let Ok(mut plan) = plan {
            super::run(&mut plan, &net, &vec![0.5; 3 * 12 * 12]);
        }
    }
}
