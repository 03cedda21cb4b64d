import numpy as np
import torch

from forge.backbones import backbone
from forge.config import TINY_E2, Gating, Training, Tuning
from forge.evaluate import right_at, single_frame
from forge.export import finish
from forge.features import adapter_outputs
from forge.gates import Sequences, pick_threshold, sweep, train_gates, tune
from forge.heads import Heads
from forge.stream import Policy, run
from forge.train import Trainer
from forge.trunk import Trunk

CONFIG = Training(steps=80, clips=4, frames=6, small=16, small_share=0.2, freeze=(0.8,), checkpoint_every=20, norm_steps=4)


def trainer(clips, folder, config=CONFIG):
    torch.manual_seed(2)
    description = backbone("tiny")
    trunk = Trunk(description, 32, 32, TINY_E2.heads.grid)
    heads = Heads(description.channels(), len(clips.names), 20, TINY_E2.heads)
    return Trainer(trunk, heads, clips, config, folder / "train.pt")


def weights(t):
    return {**t.trunk.state_dict(), **{f"h.{k}": v for k, v in t.heads.state_dict().items()}}


def test_a_resumed_run_equals_one_that_was_not_killed(clips, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = trainer(clips, tmp_path / "a")
    whole.trunk.train(), whole.heads.train()
    for _ in range(4):
        whole.train_step()
    first = trainer(clips, tmp_path / "b")
    first.trunk.train(), first.heads.train()
    for _ in range(2):
        first.train_step()
    first.save()
    second = trainer(clips, tmp_path / "b")
    second.trunk.train(), second.heads.train()
    assert second.resume() and second.step == 2
    for _ in range(2):
        second.train_step()
    for (name, a), b in zip(weights(whole).items(), weights(second).values()):
        assert torch.equal(a, b), name


def test_every_path_learns_and_gates_exit(clips, tmp_path):
    t = trainer(clips, tmp_path)
    t.fit()
    trunk, heads = finish(t.trunk, t.heads)
    v = adapter_outputs(trunk, heads, clips, tmp_path / "f.npy")
    assert torch.equal(v, adapter_outputs(trunk, heads, clips, tmp_path / "f.npy"))
    sequences = Sequences.of_clips(v, clips.labels)
    tune(heads, sequences, None, Tuning(epochs=4, batch=8), CONFIG)
    train_gates(heads, sequences, sequences, Gating(epochs=12, random_epochs=4, batch=8, stream_window=10))
    heads.eval()
    for e in range(2):
        assert right_at(run(heads, v, Policy.always(e, 2)), clips.labels)[:, -1].mean() > 0.9
        assert single_frame(heads, v, clips.labels)[e] > 0.6
    points = sweep(heads, v, clips.labels, np.array([0.6, 1.0]), lambda t: Policy((t,)), np.array([0.3, 0.5, 0.7]))
    assert pick_threshold(points, 0.9).accuracy >= 0.9
