import numpy as np
import onnx
import torch
from safetensors.torch import load_file

from forge.export import Network, finish, normalise, write
from forge.segments import max_error, segment_models
from forge.stream import Life


def bundle(network, clips, out):
    trunk, heads = finish(*network)
    net = Network("tiny-e2", trunk, heads, clips.names, 20, 10**8, [0.5], [0.9], [0.5, 0.5], Life())
    write(net, (clips.frames[:1], clips.labels[:1]), lambda error: f"{error:.0e}\n", out)
    return net


def test_segments_are_plain_and_equal_to_the_trained_network(network, clips, tmp_path):
    net = bundle(network, clips, tmp_path / "b")
    kinds = {n.op_type for m in segment_models(net.trunk) for n in m.graph.node}
    assert kinds <= {"Conv", "Clip", "Add", "AveragePool"}
    assert [[o.name for o in m.graph.output] for m in segment_models(net.trunk)] == [["y", "pooled"], ["pooled"]]
    images = normalise(torch.from_numpy(clips.frames[0, :4]))
    assert max_error(tmp_path / "b", net.trunk, images) < 1e-5
    for live, folded in zip(network[0](images), net.trunk(images)):
        torch.testing.assert_close(live, folded, atol=1e-4, rtol=1e-4)
    v = network[1].adapt(network[0](images))
    torch.testing.assert_close(v, net.heads.adapt(net.trunk(images)), atol=1e-4, rtol=1e-4)


def test_macs_are_those_of_the_graphs(network):
    trunk, _ = finish(*network)
    for model, macs in zip(segment_models(trunk), trunk.description.macs(32, 32)):
        inferred = onnx.shape_inference.infer_shapes(model).graph
        values = [*inferred.value_info, *inferred.output]
        shapes = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}
        weights = {w.name: w.dims for w in inferred.initializer}
        convs = [n for n in inferred.node if n.op_type == "Conv"]
        assert macs == sum(np.prod(shapes[n.output[0]]) * np.prod(weights[n.input[1]][1:]) for n in convs)


def test_export_is_the_same_bytes_twice_and_sums_cover_every_file(network, clips, tmp_path):
    bundle(network, clips, tmp_path / "a")
    bundle(network, clips, tmp_path / "b")
    files = sorted(p.name for p in (tmp_path / "a").iterdir())
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    listed = [line.split("  ")[1] for line in (tmp_path / "a" / "SHA256SUMS").read_text().splitlines()]
    assert sorted([*listed, "SHA256SUMS"]) == files


def test_golden_decisions_follow_the_thresholds(network, clips, tmp_path):
    bundle(network, clips, tmp_path / "b")
    golden = load_file(tmp_path / "b" / "golden.safetensors")
    assert golden["frames"].dtype == torch.uint8 and golden["exit"].dtype == torch.int32
    expected = (golden["gate"][..., 0] < 0.5).int()
    assert torch.equal(golden["exit"], expected)
