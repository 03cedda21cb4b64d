import numpy as np
import onnx
import torch

from forge.export import Network, finish, normalise, write
from forge.quantised import batched, calibration_images, quantised_models
from forge.segments import Sessions
from forge.stream import Life


@torch.no_grad()
def test_segments_in_8_bits_are_plain_and_near_those_in_floats(network, clips):
    trunk, _ = finish(*network)
    images = calibration_images(clips, 8)
    assert images.shape == (8, 3, 32, 32)
    models = quantised_models(trunk, images)
    kinds = {n.op_type for m in models for n in m.graph.node}
    assert kinds <= {"QuantizeLinear", "DequantizeLinear", "Conv", "Add", "AveragePool"}
    assert [[o.name for o in m.graph.output] for m in models] == [["y", "pooled"], ["pooled"]]
    for model in models:
        read = {name for node in model.graph.node for name in node.input}
        weights = [w for w in model.graph.initializer if len(w.dims) == 4]
        assert weights and all(w.data_type == onnx.TensorProto.INT8 for w in weights)
        assert all(w.name in read for w in model.graph.initializer)
    exact = Sessions([m.SerializeToString() for m in models], as_written=True)
    free = Sessions([batched(m).SerializeToString() for m in models])
    rows = [exact(image[None]) for image in images]
    for e, (floats, fast) in enumerate(zip(trunk(torch.from_numpy(images)), free(images))):
        slow, largest = np.concatenate([row[e] for row in rows]), floats.abs().max().item()
        assert np.abs(slow - floats.numpy()).max() < 0.15 * largest
        assert np.abs(slow - fast).max() < 0.1 * largest


def test_a_bundle_in_8_bits_says_so_and_is_the_same_bytes_twice(network, clips, tmp_path):
    trunk, heads = finish(*network)
    for name in ("a", "b"):
        models = quantised_models(trunk, calibration_images(clips, 4))
        net = Network("tiny-e2-int8", trunk, heads, clips.names, 20, 10**8, [0.5], [0.9], [0.5, 0.5], Life(), models=models)
        golden = (clips.frames[:1], clips.labels[:1])
        error = write(net, golden, lambda error: f"{error:.0e}\n", tmp_path / name)
        assert 1e-4 < error < 0.15
    assert 'precision = "int8"' in (tmp_path / "a" / "bundle.toml").read_text()
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_ranges_come_from_normalised_frames(clips):
    images = calibration_images(clips, 100)
    assert len(images) == len(clips) and images.dtype == np.float32
    assert images.min() >= -1 and images.max() <= 1
    frame = normalise(torch.from_numpy(clips.frames[0])).numpy()
    assert any(np.array_equal(images[0], f) for f in frame)
