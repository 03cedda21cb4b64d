"""The stages of a run, each of which finds the files of the one before in the run's folder.

| stage | reads | writes |
|---|---|---|
| clips | - | `data/` |
| train | train split | `train.pt` |
| gates | tune, calibration, validation splits | `heads.pt`, `choice.json` |
| evaluate | test splits | `results.json` |
| export | `train.pt`, `heads.pt`, `choice.json`, `results.json` | the bundle |
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Container
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import card, evaluate
from .backbones import backbone
from .clips import ClipSet, generated
from .config import Recipe
from .export import Network, finish, head_macs, write
from .features import adapter_outputs
from .gates import GATE_GRID, SOFTMAX_GRID, Point, Sequences, pick_threshold, sweep, train_gates, tune
from .heads import Heads
from .stream import Fires, Life, Policy, gate_confidence, run, softmax_confidence
from .train import Trainer
from .trunk import Trunk

STAGES = ("clips", "train", "gates", "choose", "evaluate", "export")
"""`choose` is the end of `gates`, to be repeated alone."""
NEVER = 2.0
"""A threshold that no probability reaches."""
FEWER_OF, FEWER = 5, (0, 2, 4)
"""A network of five exits is also measured with three of them."""


@dataclass
class Run:
    """One recipe in one folder."""

    recipe: Recipe
    folder: Path
    e4: list[str]
    resume: bool = True
    compiled: bool = False

    def clips(self, name: str) -> ClipSet:
        """The clips of a split; class names are those of the training split."""
        names = None if name == "train" else self.labels
        return generated(self.recipe.splits[name], self.recipe.size, self.e4, self.folder / "data" / name, names)

    @cached_property
    def labels(self) -> list[str]:
        """Class names in the order of the logits."""
        return self.clips("train").names

    def has(self, split: str) -> bool:
        """Whether the recipe has this split."""
        return split in self.recipe.splits

    def build(self) -> tuple[Trunk, Heads]:
        """Untrained trunk and heads."""
        recipe = self.recipe
        torch.manual_seed(recipe.training.seed)
        description = backbone(recipe.backbone)
        trunk = Trunk(description, recipe.size, recipe.size, recipe.heads.grid)
        return trunk, Heads(description.channels(), len(self.labels), recipe.window, recipe.heads)

    def all_clips(self) -> None:
        """Generate every split."""
        for name in self.recipe.splits:
            clips = self.clips(name)
            print(f"clips {name}: {len(clips)}", file=sys.stderr, flush=True)

    def train(self) -> None:
        """End-to-end training."""
        checkpoint = self.folder / "train.pt"
        trainer = Trainer(*self.build(), self.clips("train"), self.recipe.training, checkpoint, self.compiled)
        if self.resume and trainer.resume():
            print(f"train: going on from step {trainer.step}", file=sys.stderr)
        trainer.fit()

    def finished(self) -> tuple[Trunk, Heads]:
        """The folded trunk and heads as end-to-end training left them."""
        trunk, heads = self.build()
        saved = torch.load(self.folder / "train.pt", weights_only=True)
        trunk.load_state_dict(saved["trunk"])
        heads.load_state_dict(saved["heads"])
        return finish(trunk, heads)

    def final(self) -> tuple[Trunk, Heads]:
        """The folded trunk and the heads with everything trained."""
        trunk, heads = self.finished()
        heads.load_state_dict(torch.load(self.folder / "heads.pt", weights_only=True))
        return trunk, heads.eval()

    def features(self, trunk: Trunk, heads: Heads, split: str) -> Tensor:
        """Adapter outputs of a split."""
        return adapter_outputs(trunk, heads, self.clips(split), self.folder / "features" / f"{split}.npy")

    def sequences(self, trunk: Trunk, heads: Heads, split: str) -> tuple[Sequences, Sequences | None]:
        """Clips of a split, and its streams where the recipe has them."""
        clips = Sequences.of_clips(self.features(trunk, heads, split), self.clips(split).labels)
        name = f"{split}_streams"
        if not self.has(name):
            return clips, None
        footage = self.clips(name)
        return clips, Sequences.of_streams(self.features(trunk, heads, name), footage.labels, footage.changes)

    def gates(self) -> None:
        """Tune, train the gates, pick thresholds and the state's life."""
        recipe = self.recipe
        trunk, heads = self.finished()
        tune(heads, *self.sequences(trunk, heads, "tune"), recipe.tuning, recipe.training)
        train_gates(heads, *self.sequences(trunk, heads, "calibration"), recipe.gating)
        heads.eval()
        torch.save(heads.state_dict(), self.folder / "heads.pt")
        self.choose()

    def pick(self, points: list[Point], target: float, _frame_target: float) -> Point:
        """The threshold for a target of clip accuracy, given that of frame accuracy too."""
        return pick_threshold(points, target)

    def choose(self) -> None:
        """Thresholds, exit rates and the state's life, from the validation splits: `choice.json`."""
        trunk, heads = self.final()
        costs = evaluate.Costs.of(trunk, heads)
        v, labels = self.features(trunk, heads, "validation"), self.clips("validation").labels
        full = run(heads, v, Policy.always(heads.exits - 1, heads.exits))
        full_right = evaluate.right_at(full, labels)
        full_accuracy, full_frames = float(full_right[:, -1].mean()), float(full_right.mean())
        target = full_accuracy + self.recipe.drop_margin
        every, fall = range(heads.exits - 1), self.recipe.gating.fall
        gate = self.pick(
            sweep(heads, v, labels, costs.backbone, lambda t: self.policy(heads, t, every, fall), GATE_GRID),
            target,
            full_frames,
        )
        softmax = self.pick(
            sweep(
                heads,
                v,
                labels,
                costs.backbone,
                lambda t: self.policy(heads, t, every, confidence=softmax_confidence),
                SOFTMAX_GRID,
            ),
            gate.accuracy,
            gate.frame_accuracy,
        )
        policy = self.policy(heads, gate.threshold, every, fall)
        trace = run(heads, v, policy)
        choice = {
            "thresholds": list(policy.thresholds),
            "softmax_thresholds": [softmax.threshold] * (heads.exits - 1),
            "rates": [float((trace.exits == e).float().mean()) for e in range(heads.exits)],
            "validation": {"full": full_accuracy, "gated": gate.accuracy, "cost": gate.cost},
            "lives": [],
            "life": asdict(Life()),
        }
        if heads.exits == FEWER_OF:
            fewer = sweep(heads, v, labels, costs.backbone, lambda t: self.policy(heads, t, FEWER, fall), GATE_GRID)
            choice["fewer_threshold"] = self.pick(fewer, target, full_frames).threshold
        if self.has("validation_streams"):
            footage, sv = self.clips("validation_streams"), self.features(trunk, heads, "validation_streams")
            lives = evaluate.lives(heads, sv, footage, policy)
            reports = [evaluate.stream_report(heads, sv, footage, costs, policy, life) for life in lives]
            choice["lives"] = [asdict(life) for life in lives]
            choice["life"] = asdict(evaluate.choose_life(reports))
        save_json(self.folder / "choice.json", choice)
        print(f"choice: {json.dumps(choice)}", file=sys.stderr, flush=True)

    @staticmethod
    def policy(
        heads: Heads, threshold: float, exits: Container[int], fall: float = 1.0, confidence: Fires = gate_confidence
    ) -> Policy:
        """`threshold` at the first exit and `fall` times as much at every next; exits not in `exits` are not taken."""
        levels = (round(threshold * fall**e, 6) for e in range(heads.exits - 1))
        return Policy(tuple(level if e in exits else NEVER for e, level in enumerate(levels)), confidence)

    def evaluate(self) -> None:
        """Measure everything the card says: `results.json`."""
        trunk, heads = self.final()
        choice, costs = self.choice(), evaluate.Costs.of(trunk, heads)
        gated = Policy(tuple(choice["thresholds"]))
        softmax = Policy(tuple(choice["softmax_thresholds"]), softmax_confidence)
        test, v = self.clips("test"), self.features(trunk, heads, "test")
        results = {
            "labels": self.labels,
            "macs": trunk.description.macs(*trunk.size),
            "head_macs": head_macs(heads),
            "cost": costs.backbone.tolist(),
            "cost_with_heads": costs.with_heads.tolist(),
            "thresholds": [*choice["thresholds"], None],
            "life": choice["life"],
            "clips": evaluate.clip_report(heads, v, test, costs, gated, softmax),
        }
        if heads.exits == FEWER_OF:
            fall = self.recipe.gating.fall
            fewer = run(heads, v, self.policy(heads, choice["fewer_threshold"], FEWER, fall))
            results["fewer_exits"] = {**evaluate.summary(fewer, test.labels, costs), "exits": FEWER}
        if self.has("test_streams"):
            footage, sv = self.clips("test_streams"), self.features(trunk, heads, "test_streams")
            results["stream_count"], results["stream_frames"] = footage.frames.shape[:2]
            results["streams"] = [
                evaluate.stream_report(heads, sv, footage, costs, gated, Life(**life)) for life in choice["lives"]
            ]
        if self.has("test_slow"):
            paces = {"0.5x the interval": "test_fast", "1x": "test_even", "2x": "test_slow"}
            results["paces"] = {
                title: evaluate.paced(heads, self.features(trunk, heads, name), self.clips(name).labels, costs, gated)
                for title, name in paces.items()
            }
            results["drops"] = {
                f"{round(100 * share)} % lost at random": evaluate.dropped(heads, v, test.labels, costs, gated, share)
                for share in (0.1, 0.3)
            }
        save_json(self.folder / "results.json", results)

    def provenance(self) -> str:
        """What the network was trained on, for the card."""
        return "Trained from scratch on clips that `e4 clips` generates; it has seen no real footage."

    def card(self, results: dict, made: dict) -> str:
        """CARD.md."""
        return card.render(self.recipe, results, made)

    def choice(self) -> dict:
        """`choice.json`."""
        return json.loads((self.folder / "choice.json").read_text())

    def network(self) -> Network:
        """The finished network and what the manifest says of it."""
        recipe, choice = self.recipe, self.choice()
        trunk, heads = self.final()
        return Network(
            name=recipe.name,
            trunk=trunk,
            heads=heads,
            labels=self.labels,
            window=recipe.window,
            frame_interval_ns=recipe.frame_interval_ns,
            thresholds=choice["thresholds"],
            softmax_thresholds=choice["softmax_thresholds"],
            rates=choice["rates"],
            life=Life(**choice["life"]),
            fit=recipe.fit,
        )

    def export(self, out: Path, command: str, generator: str = "", note: str = "") -> None:
        """Write the bundle to `out`."""
        recipe, choice, net = self.recipe, self.choice(), self.network()
        golden = self.clips("golden")
        frames, labels = np.array(golden.frames[: recipe.golden_clips]), golden.labels[: recipe.golden_clips]
        results = json.loads((self.folder / "results.json").read_text())
        made = {
            "provenance": self.provenance(),
            "command": command,
            "note": note,
            "validation": choice["validation"],
            "commit": commit(),
            "generator": generator or commit(),
            "torch": torch.__version__.split("+")[0],
        }
        error = write(net, (frames, labels), lambda e: self.card(results, {**made, "onnx_error": f"{e:.0e}"}), out)
        size = sum(p.stat().st_size for p in out.iterdir())
        print(f"{out}: {size / 1e6:.2f} MB, ONNX error {error:.1e}", file=sys.stderr)


def save_json(path: Path, value: dict) -> None:
    """Readable JSON."""
    path.write_text(json.dumps(value, indent=1) + "\n")


def commit() -> str:
    """The short commit of this checkout, `-dirty` when changed, or `unknown`."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else "unknown"
