"""A run on real footage: the stages of `pipeline.Run` with clips from a folder.

| in the run's folder | holds |
|---|---|
| `cache/clips/` | decoded windows by content, `store` |
| `cache/features/` | pooled features of a frozen backbone, `frozen` |
| `settings.json` | what `train.pt` was made with; other settings are refused, not mixed |
| the rest | as in `pipeline` |
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from argparse import Namespace
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .. import evaluate, initial
from ..backbones import backbone
from ..clips import ClipSet
from ..config import Gating, Recipe
from ..features import adapter_outputs
from ..gates import Point, Sequences, pick_steady_threshold, train_gates
from ..heads import Heads
from ..pipeline import Run, save_json
from ..stream import Policy, run, softmax_confidence
from ..train import Trainer
from ..trunk import Trunk
from . import FootageError, report
from .frozen import VIEWS, FrozenTrainer, Pooled
from .recipe import Footage, recipe_of
from .scan import note, scan
from .split import SHARES, split
from .store import Sampling, Store, Stored, Windows

STREAMS = {"validation_streams": ("validation", 31), "test_streams": ("test", 32)}
"""Split whose windows are joined, and the seed of their order."""
GATE_STEPS = 100
"""Steps that train the gates: with few windows, more only learn them by heart."""
FROZEN_DROPOUT = 0.4
"""Of the adapters where they are all that adapts."""


class FootageRun(Run):
    """One recipe on one folder of clips."""

    def __init__(self, recipe: Recipe, folder: Path, footage: Footage, resume: bool, compiled: bool) -> None:
        super().__init__(recipe, folder, [], resume, compiled)
        self.footage = footage
        sampling = Sampling(recipe.size, recipe.fit, recipe.frame_interval_ns, recipe.window, footage.limit)
        self.store = Store(footage.cache / "clips", sampling)

    @cached_property
    def stored(self) -> dict[str, list[Stored]]:
        """Every split's clips, decoded."""
        found = scan(self.footage.data)
        decoded = self.store.add_all(found)
        by_clip = {s.clip: s for s in decoded}
        lost = sorted({c.label for c in found} - {s.clip.label for s in decoded})
        if lost:
            raise FootageError(f"no clip of {', '.join(lost)} can be decoded")
        slow = sum(s.frames < 2 for s in decoded)
        if slow:
            note(f"{slow} clips give a single frame at {self.recipe.frame_interval_ns / 1e6:g} ms")
        splits = split(list(by_clip), self.footage.seed)
        return {name: [by_clip[c] for c in clips] for name, clips in splits.items()}

    @cached_property
    def labels(self) -> list[str]:
        """Class names: those of the folders, sorted."""
        return sorted({s.clip.label for clips in self.stored.values() for s in clips})

    def has(self, split: str) -> bool:
        """Whether there is such a split."""
        return split in SHARES or split in STREAMS

    def rows(self, name: str) -> list[Stored]:
        """The clip of every window of a split."""
        return [s for s in self.stored[name] for _ in range(s.windows)]

    def clips(self, name: str) -> ClipSet:
        """A split's windows; the golden clips are `golden`'s."""
        if name in STREAMS:
            source, seed = STREAMS[name]
            labels = self.clips(source).labels
            return report.joined(torch.empty(len(labels), self.recipe.window, 0), labels, seed)[1]
        if name == "golden":
            return self.golden()
        stored = self.stored[name]
        rows = [s for s in stored for _ in range(s.windows)]
        labels = np.array([self.labels.index(s.clip.label) for s in rows])
        per_class = np.bincount([self.labels.index(s.clip.label) for s in stored], minlength=len(self.labels))
        weights = np.array([1 / (per_class[k] * s.windows) for k, s in zip(labels, rows)])
        return ClipSet(Windows(self.store, stored), labels, self.labels, weights=weights / weights.sum())

    def golden(self) -> ClipSet:
        """Test windows of different classes whose every decision is clear: any engine has to decide the same."""
        clips, policy = self.clips("test"), Policy(tuple(self.choice()["thresholds"]))
        trunk, heads = self.final()
        doubts = report.doubtful(heads, self.features(trunk, heads, "test"), policy)
        firsts = {clips.labels[i]: i for i in sorted(range(len(clips)), key=lambda i: (-doubts[i], -i))}
        chosen = sorted(firsts.values(), key=lambda i: (doubts[i], i))[: self.recipe.golden_clips]
        return ClipSet(np.stack([clips.frames[i] for i in chosen]), clips.labels[chosen], self.labels)

    def all_clips(self) -> None:
        """Decode everything and tell what is where."""
        for name, told in self.told().items():
            by_class = ", ".join(f"{label} {count}" for label, count in zip(self.labels, told["by_class"]))
            note(f"{name}: {told['groups']} groups, {told['clips']} clips, {told['windows']} windows ({by_class})")

    def told(self) -> dict[str, dict]:
        """Counts of every split, for the card."""
        out = {}
        for name, stored in self.stored.items():
            labels = [self.labels.index(s.clip.label) for s in self.rows(name)]
            out[name] = {
                "groups": len({s.clip.group for s in stored}),
                "clips": len(stored),
                "windows": len(labels),
                "held": sum(s.frames < self.recipe.window for s in stored),
                "by_class": np.bincount(labels, minlength=len(self.labels)).tolist(),
            }
        return out

    def settings(self) -> dict:
        """All that the weights depend on."""
        recipe, keys = self.recipe, [(s.clip.name, s.key) for name in sorted(self.stored) for s in self.stored[name]]
        return {
            "backbone": recipe.backbone,
            "init": self.footage.init,
            "freeze": self.footage.freeze,
            "seed": self.footage.seed,
            "steps": recipe.training.steps,
            "sampling": asdict(self.store.sampling),
            "clips": hashlib.sha256(json.dumps(keys).encode()).hexdigest(),
        }

    def train(self) -> None:
        """Heads alone on a frozen backbone, or everything."""
        path, wanted = self.folder / "settings.json", self.settings()
        checkpoint = self.folder / "train.pt"
        if self.resume and checkpoint.exists():
            made = json.loads(path.read_text()) if path.exists() else {}
            other = [key for key in wanted if made.get(key) != wanted[key]]
            if other:
                raise FootageError(
                    f"{checkpoint} was trained with other {', '.join(other)}: "
                    "choose another --run, or --no-resume to start again"
                )
        save_json(path, wanted)
        trunk, heads = self.build()
        came_from = None
        if self.footage.init:
            came_from = initial.load(trunk, self.footage.init)
        (self.folder / "init.json").write_text(json.dumps(came_from))
        trainer = self.trainer(trunk, heads, checkpoint)
        if self.resume and trainer.resume():
            note(f"training goes on from step {trainer.step}")
        trainer.fit()

    def build(self) -> tuple[Trunk, Heads]:
        """Untrained trunk and heads."""
        trunk, heads = super().build()
        if self.footage.freeze:
            for adapter in heads.adapters:
                adapter.dropout = FROZEN_DROPOUT
        return trunk, heads

    def trainer(self, trunk: Trunk, heads: Heads, checkpoint: Path) -> Trainer:
        """What trains them."""
        clips, config = self.clips("train"), self.recipe.training
        if not self.footage.freeze:
            return Trainer(trunk, heads, clips, config, checkpoint, self.compiled)
        pooled = self.pooled(trunk.fold())
        pooled.prepare(self.stored["train"], VIEWS, "train")
        return FrozenTrainer(trunk, heads, clips, config, checkpoint, pooled, self.stored["train"])

    def pooled(self, folded: Trunk) -> Pooled:
        """The features of a frozen backbone."""
        return Pooled(self.footage.cache / "features", folded, self.store)

    def features(self, trunk: Trunk, heads: Heads, split: str) -> Tensor:
        """Adapter outputs of a split; of streams, those of their windows joined."""
        if split in STREAMS:
            source, seed = STREAMS[split]
            return report.joined(self.features(trunk, heads, source), self.clips(source).labels, seed)[0]
        if self.footage.freeze:
            pooled = self.pooled(trunk)
            pooled.prepare(self.stored[split], 1, split)
            return pooled.adapted(heads, self.stored[split])
        keys = hashlib.sha256("".join(s.key for s in self.stored[split]).encode()).hexdigest()[:16]
        return adapter_outputs(trunk, heads, self.clips(split), self.folder / "features" / f"{split}-{keys}.npy")

    def gates(self) -> None:
        """Train the gates on the calibration split with its classes made equally frequent, then choose."""
        trunk, heads = self.finished()
        clips = self.clips("calibration")
        v = self.features(trunk, heads, "calibration")
        rows = balanced(clips.labels)
        sequences = Sequences.of_clips(v[torch.from_numpy(rows)], clips.labels[rows])
        train_gates(heads, sequences, None, self.gating(len(rows)))
        heads.eval()
        torch.save(heads.state_dict(), self.folder / "heads.pt")
        self.choose()

    def pick(self, points: list[Point], target: float, frame_target: float) -> Point:
        """As `gates.pick_steady_threshold`: validation splits of footage are small."""
        return pick_steady_threshold(points, target, frame_target)

    def gating(self, rows: int) -> Gating:
        """How the gates are trained on this many windows: about `GATE_STEPS` steps, however few there are."""
        batch = min(self.recipe.gating.batch, max(1, rows // 2))
        epochs = max(4, math.ceil(GATE_STEPS / (rows // batch)))
        return replace(self.recipe.gating, batch=batch, epochs=epochs, random_epochs=epochs // 3)

    def evaluate(self) -> None:
        """As for generated clips, with intervals over groups, accuracy by class and lost frames."""
        super().evaluate()
        path = self.folder / "results.json"
        results = json.loads(path.read_text())
        trunk, heads = self.final()
        choice, costs, clips = self.choice(), evaluate.Costs.of(trunk, heads), self.clips("test")
        v, labels = self.features(trunk, heads, "test"), clips.labels
        groups = [s.clip.group for s in self.rows("test")]
        gated = Policy(tuple(choice["thresholds"]))
        policies = {
            "full": Policy.always(heads.exits - 1, heads.exits),
            "gated": gated,
            "softmax": Policy(tuple(choice["softmax_thresholds"]), softmax_confidence),
        }
        right = {n: evaluate.right_at(run(heads, v, p), labels)[:, -1].astype(float) for n, p in policies.items()}
        results["clips"] |= {
            "full_interval": report.group_interval(right["full"], groups),
            "gated_interval": report.group_interval(right["gated"], groups),
            "difference_interval": report.group_interval(right["gated"] - right["full"], groups),
            "softmax_difference_interval": report.group_interval(right["softmax"] - right["gated"], groups),
        }
        classes = {name: report.by_class(r, labels, self.labels, groups) for name, r in right.items()}
        results["footage"] = {
            "splits": self.told(),
            "classes": classes["gated"],
            "balanced": {name: float(np.mean([r["accuracy"] for r in rows])) for name, rows in classes.items()},
        }
        results["paces"] = {
            "at the interval": evaluate.paced(heads, v, labels, costs, gated),
            "at twice the interval": evaluate.paced(heads, v[:, ::2], labels, costs, gated),
        }
        results["drops"] = {
            f"{round(100 * share)} % lost at random": evaluate.dropped(heads, v, labels, costs, gated, share)
            for share in (0.1, 0.3)
        }
        save_json(path, results)
        full, gates = results["clips"]["pure"][-1], results["clips"]["gated"]
        print(
            f"test: full depth {full['accuracy']:.4f}, gated {gates['accuracy']:.4f} "
            f"at {gates['cost']:.4f} of the MACs",
            file=sys.stderr,
        )

    def provenance(self) -> str:
        """What the network was trained on, for the card."""
        count = sum(len(s) for s in {id(s): s for s in self.stored.values()}.values())
        told = self.folder / "init.json"
        came_from = json.loads(told.read_text()) if told.exists() else None
        start = f"started from {came_from}" if came_from else "trained from scratch"
        kept = ", frozen" if self.footage.freeze else ""
        name = self.footage.data.resolve().name
        return f"Made of {count} clips of real footage in `{name}`; its backbone {start}{kept}."

    def card(self, results: dict, made: dict) -> str:
        """CARD.md."""
        gating = self.gating(len(balanced(self.clips("calibration").labels)))
        return report.render(replace(self.recipe, gating=gating), results, made)


def balanced(labels: np.ndarray) -> np.ndarray:
    """Rows of a set with every class repeated until it is as frequent as the largest."""
    most = np.bincount(labels).max()
    rows = [np.resize(np.flatnonzero(labels == k), most) for k in np.unique(labels)]
    return np.concatenate(rows)


def open_run(args: Namespace) -> FootageRun:
    """The run that the command line asks for."""
    recipe = recipe_of(args)
    backbone(recipe.backbone)
    folder = args.run or Path("runs") / recipe.name
    folder.mkdir(parents=True, exist_ok=True)
    footage = Footage(
        args.data, args.cache or folder / "cache", args.init, args.freeze, args.seed, args.windows_per_clip
    )
    return FootageRun(recipe, folder, footage, args.resume, args.compile)
