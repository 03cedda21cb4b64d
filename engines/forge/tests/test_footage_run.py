"""Runs on a small folder of real clips, from the command line to the bundle."""

import json
import tomllib

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from forge import evaluate, pipeline
from forge.__main__ import main, parse
from forge.backbones import backbone
from forge.footage import frozen, project, report
from forge.footage.project import balanced, open_run
from forge.footage.recipe import grid_of
from forge.gates import Point, pick_steady_threshold
from forge.trunk import Trunk
from test_footage import write

av = pytest.importorskip("av")
COUNTS = {"dim": 4, "glow & co": 8}


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setattr(project, "GATE_STEPS", 40)
    monkeypatch.setattr(evaluate, "CUT_QUANTILES", (0.9,))
    monkeypatch.setattr(pipeline, "GATE_GRID", np.array([0.3, 0.5, 0.7]))
    monkeypatch.setattr(pipeline, "SOFTMAX_GRID", np.array([0.6, 0.9]))
    for label, count in COUNTS.items():
        for i in range(count):
            path = tmp_path / "set" / label / f"{i}.avi"
            write(path, 9 + i, 40, 36, codec="mjpeg", first=i if label == "dim" else 90 + i)
    (tmp_path / "set" / "dim" / "text.mp4").write_text("no video")
    torch.manual_seed(4)
    torch.save(Trunk(backbone("tiny"), 64, 64, 2).state_dict(), tmp_path / "tiny.pt")
    return tmp_path


def command(data, *more):
    fixed = f"--data {data / 'set'} --run {data / 'run'} --backbone tiny --size 64 --window 8 --steps 30 --threads 1"
    return [*fixed.split(), "--init", str(data / "tiny.pt"), *more]


def test_frozen_footage_becomes_a_bundle_and_nothing_is_computed_twice(data, capsys, monkeypatch):
    passes = []
    original = frozen.Pooled._compute
    counted = lambda self, clip, view: passes.append(clip.key) or original(self, clip, view)  # noqa: E731
    monkeypatch.setattr(frozen.Pooled, "_compute", counted)
    assert main(command(data, "--freeze")) == 0
    told = capsys.readouterr().err
    assert "text.mp4" in told and "1 of 13 clips" in told
    manifest = tomllib.loads((data / "run" / "bundle" / "bundle.toml").read_text())
    golden = load_file(data / "run" / "bundle" / "golden.safetensors")
    assert golden["label"].tolist() in ([0, 1], [1, 0]) and golden["frames"].shape == (2, 8, 64, 64, 3)
    assert manifest["labels"] == list(COUNTS) and manifest["window"] == 8 and manifest["name"] == "set"
    card = (data / "run" / "bundle" / "CARD.md").read_text()
    assert "groups" in card and "glow & co" in card and "frozen" in card
    results = json.loads((data / "run" / "results.json").read_text())
    low, high = results["clips"]["gated_interval"]
    assert low <= results["clips"]["gated"]["accuracy"] <= high
    splits = results["footage"]["splits"]
    assert all(s["windows"] > 0 for s in splits.values())
    assert len(passes) == sum(s["clips"] for s in splits.values()) + (frozen.VIEWS - 1) * splits["train"]["clips"]
    count = len(passes)
    cache = str(data / "run" / "cache")
    assert main(command(data, "--freeze", "--run", str(data / "again"), "--cache", cache, "--stage", "train")) == 0
    assert len(passes) == count
    assert main(command(data, "--freeze", "--steps", "31")) == 2
    assert "other steps" in capsys.readouterr().err


def test_a_frozen_backbone_keeps_its_weights_and_statistics(data):
    run = open_run(parse(command(data, "--freeze")))
    run.train()
    before, after = torch.load(data / "tiny.pt"), torch.load(data / "run" / "train.pt")["trunk"]
    assert all(torch.equal(before[k], after[k]) for k in before)


def test_views_of_a_clip_are_the_same_every_time():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    plain, mirrored, part, again = (frozen.see(pixels, "0a1b2c3d4e", view) for view in (0, 1, 2, 2))
    assert torch.equal(mirrored, plain.flip(-1)) and torch.equal(part, again)
    assert part.shape == plain.shape and part.abs().max() <= 1 and not torch.equal(part, plain)


def test_an_open_backbone_trains_from_its_weights(data):
    assert main(command(data, "--steps", "3")) == 0
    before, after = torch.load(data / "tiny.pt"), torch.load(data / "run" / "train.pt")["trunk"]
    assert not all(torch.equal(before[k], after[k]) for k in before)
    assert (data / "run" / "bundle" / "SHA256SUMS").exists()


def test_classes_are_drawn_equally_often_however_unequal(data):
    clips = open_run(parse(command(data))).clips("train")
    shares = [clips.weights[clips.labels == k].sum() for k in range(2)]
    assert np.allclose(shares, 0.5)
    rows = balanced(np.array([0, 0, 0, 0, 0, 2, 2]))
    assert sorted(rows.tolist()) == [0, 1, 2, 3, 4, 5, 5, 5, 6, 6]


def test_unusable_wishes_are_one_sentence(data, capsys):
    (data / "empty").mkdir()
    (data / "broken" / "a").mkdir(parents=True)
    (data / "broken" / "b").mkdir()
    for label in "ab":
        (data / "broken" / label / "x.mp4").write_text("x")
    wishes = {
        "two folders": ["--data", str(data / "empty")],
        "none of the 2 clips": ["--data", str(data / "broken")],
        "multiple of 32": ["--size", "100"],
        "no such file": ["--init", str(data / "gone.pt")],
        "shape": ["--backbone", "mobilenetv2"],
    }
    for words, wish in wishes.items():
        assert main(command(data, *wish)) == 2
        lines = capsys.readouterr().err.splitlines()
        assert lines[-1].startswith("forge: ") and (words in lines[-1] or words == "shape")
    assert main(["--data", str(data / "set"), "--freeze", "--run", str(data / "r")]) == 2
    assert "--freeze needs --init" in capsys.readouterr().err


def test_a_threshold_that_is_right_by_chance_is_not_picked():
    told = [(0.3, 0.9, 0.2, 0.5), (0.5, 0.7, 0.4, 0.8), (0.7, 0.8, 0.6, 0.8), (0.9, 0.8, 0.8, 0.81)]
    points = [Point(*p) for p in told]
    assert pick_steady_threshold(points, 0.8, 0.8).threshold == 0.7
    assert pick_steady_threshold(points, 0.95, 0.8).threshold == 0.9


def test_intervals_are_those_of_groups():
    right = np.array([1.0] * 50 + [0.0] * 50)
    few = report.group_interval(right, ["a"] * 50 + ["b"] * 50)
    many = report.group_interval(right, [str(i) for i in range(100)])
    assert few == (0.0, 1.0) and 0.35 < many[0] < 0.45 < 0.55 < many[1] < 0.65


def test_joined_streams_mark_cuts_and_changes():
    v = torch.arange(6.0)[:, None, None, None].expand(6, 4, 2, 3)
    labels = np.array([0, 0, 0, 1, 1, 1])
    stream, told = report.joined(v, labels, 1, windows=5)
    assert stream.shape[:2] == told.labels.shape == told.frames.shape[:2] and stream.shape[1] == 20
    assert np.array_equal(labels[stream[..., 0, 0].long().numpy()], told.labels)
    assert told.cuts.sum() == len(stream) * 5
    assert np.array_equal(told.changes[:, 1:], told.labels[:, 1:] != told.labels[:, :-1])


def test_the_grid_divides_the_deepest_map():
    assert [grid_of(s) for s in (64, 96, 128, 160, 192, 224, 256)] == [2, 3, 4, 5, 6, 7, 4]
