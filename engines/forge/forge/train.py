"""End-to-end training on random commit paths. Everything random in a step is drawn from
(seed, step), and checkpoints are whole, so that a run killed and resumed equals one that was not.
"""

from __future__ import annotations

import math
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .clips import ClipSet
from .config import Training
from .export import normalise
from .heads import Heads, unroll
from .trunk import Trunk


@dataclass
class Batch:
    """Which frames a step sees, labels [B, T], frames since the action began [B, T], commit path [B, T]."""

    picks: list[tuple[int, np.ndarray, bool]]
    """(clip, its frames, whether mirrored), one after the other."""
    labels: Tensor
    ages: Tensor
    path: Tensor


def random_path(rng: np.random.Generator, batch: int, frames: int, exits: int) -> Tensor:
    """Exits that commit, [B, T]: 30 % of the rows one fixed exit, 20 % always the last, the rest at random."""
    path = rng.integers(0, exits, (batch, frames))
    kind, fixed = rng.random(batch), rng.integers(0, exits, (batch, 1))
    path = np.where((kind < 0.3)[:, None], fixed, path)
    return torch.from_numpy(np.where((kind > 0.8)[:, None], exits - 1, path))


def choose(clips: ClipSet, config: Training, step: int, rng: np.random.Generator) -> np.ndarray:
    """Clips of `step`: by their weights, else easy ones at first, later every clip once before any comes again."""
    if clips.weights is not None:
        return rng.choice(len(clips), config.clips, p=clips.weights)
    limit = config.easy + (1 - config.easy) * step / max(1, config.easy_share * config.steps)
    if clips.difficulty is not None and limit < 1:
        return rng.choice(np.flatnonzero(clips.difficulty <= limit), config.clips, replace=False)
    per_epoch = len(clips) // config.clips
    order = np.random.default_rng([config.seed, 1 << 32, step // per_epoch]).permutation(len(clips))
    return order[(step % per_epoch) * config.clips :][: config.clips]


def draw(clips: ClipSet, config: Training, exits: int, step: int) -> Batch:
    """The batch of `step`."""
    rng = np.random.default_rng([config.seed, step])
    chosen = choose(clips, config, step, rng)
    length = clips.frames.shape[1]
    picks = []
    for index in chosen:
        if rng.random() < config.contiguous:
            at = rng.integers(0, length - config.frames + 1) + np.arange(config.frames)
        else:
            at = np.sort(rng.choice(length, config.frames, replace=False))
        picks.append((int(index), at, rng.random() < 0.5))
    rows = config.clips // 2 if rng.random() < config.paired else config.clips
    labels = torch.from_numpy(clips.labels[chosen])[:, None].expand(-1, config.frames).reshape(rows, -1)
    ages = torch.arange(config.frames).expand(config.clips, -1).reshape(rows, -1)
    return Batch(picks, labels, ages, random_path(rng, rows, labels.shape[1], exits))


def augment(x: Tensor, config: Training, generator: torch.Generator) -> Tensor:
    """Normalised images with a random gain each and a random offset per channel."""
    gain = 1 + config.gain_noise * torch.randn(len(x), 1, 1, 1, generator=generator)
    return x * gain + config.offset_noise * torch.randn(len(x), 3, 1, 1, generator=generator)


def exit_loss(logits: Tensor, labels: Tensor, ages: Tensor, span: int, config: Training) -> Tensor:
    """Cross-entropy at every frame and exit, rising over the first `span` frames of an action.

    logits [B, T, E, K]; labels and ages [B, T].
    """
    exits, classes = logits.shape[2:]
    target = labels[:, :, None].expand(-1, -1, exits)
    loss = F.cross_entropy(
        logits.reshape(-1, classes), target.reshape(-1), reduction="none", label_smoothing=config.smoothing
    ).view(target.shape)
    low, high = config.ramp
    weight = low + (high - low) * (ages / max(span - 1, 1)).clamp(max=1.0)
    return (loss.mean(2) * weight).sum() / weight.sum()


def one_cycle(step: int, steps: int, warm_up: float) -> float:
    """Factor of the learning rate: up from 1/25 over the first `warm_up` share, down to 1e-4 by half cosines."""
    rise = max(1, round(warm_up * steps))
    if step < rise:
        return 1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * step / rise)) / 2
    return 1e-4 + (1 - 1e-4) * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise))) / 2


class Probe(nn.Module):
    """One linear classifier per exit straight on a single frame's feature, thrown away after training.

    Without it the gradient first has to find its way through two LSTM layers, and the trunk
    starts to learn many hundred steps later.
    """

    def __init__(self, heads: Heads) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(heads.exits, heads.classes, heads.sizes.feature))
        self.bias = nn.Parameter(torch.zeros(heads.exits, heads.classes))

    def loss(self, u: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy of u [B, T, E, D] against labels [B, T]."""
        logits = torch.einsum("bted,ekd->btek", u, self.weight) + self.bias
        target = labels[:, :, None].expand(-1, -1, logits.shape[2])
        return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), target.reshape(-1))


class Trainer:
    """Trunk, heads and optimiser of one run, with its checkpoint."""

    def __init__(
        self, trunk: Trunk, heads: Heads, clips: ClipSet, config: Training, checkpoint: Path, compiled: bool = False
    ) -> None:
        """`compiled` runs the segments through torch.compile: half the time where memory is the limit."""
        self.trunk = trunk.to(memory_format=torch.channels_last)
        self.heads, self.clips, self.config, self.checkpoint = heads, clips, config, checkpoint
        self.probe = Probe(heads)
        self.segments = [torch.compile(s, dynamic=False) if compiled else s for s in trunk.segments]
        groups = [
            (config.trunk_rate, config.trunk_decay, list(trunk.parameters())),
            (config.heads_rate, config.heads_decay, heads.body_parameters()),
            (config.heads_rate, config.heads_decay, list(self.probe.parameters())),
        ]
        self.rates = [rate for rate, _, _ in groups]
        self.optimiser = torch.optim.AdamW(
            [{"params": params, "lr": rate, "weight_decay": decay} for rate, decay, params in groups]
        )
        self.parameters = [p for _, _, params in groups for p in params]
        self.step = 0
        self.frozen: list[nn.Module] = []
        """Folded copies of the segments that are trained no more."""

    def resume(self) -> bool:
        """Continue from the checkpoint if there is one."""
        if not self.checkpoint.exists():
            return False
        saved = torch.load(self.checkpoint, weights_only=True)
        self.trunk.load_state_dict(saved["trunk"])
        self.heads.load_state_dict(saved["heads"])
        self.probe.load_state_dict(saved["probe"])
        self.optimiser.load_state_dict(saved["optimiser"])
        self.step = saved["step"]
        return True

    def save(self) -> None:
        """Write the checkpoint, atomically."""
        partial = self.checkpoint.with_suffix(".partial")
        parts = {"trunk": self.trunk, "heads": self.heads, "probe": self.probe, "optimiser": self.optimiser}
        torch.save({**{name: part.state_dict() for name, part in parts.items()}, "step": self.step}, partial)
        os.replace(partial, self.checkpoint)

    def train_step(self) -> tuple[float, np.ndarray]:
        """One step: (loss, accuracy of every exit at the last frame)."""
        config = self.config
        batch = draw(self.clips, config, self.heads.exits, self.step)
        torch.manual_seed(config.seed * 1_000_003 + self.step)
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + self.step)
        for group, rate in zip(self.optimiser.param_groups, self.rates):
            group["lr"] = rate * one_cycle(self.step, config.steps, config.warm_up)
        self.freeze()
        v = self.heads.adapt(self.pooled(batch, generator))
        v = v.view(*batch.labels.shape, *v.shape[1:])
        run = unroll(self.heads, v, batch.path)
        loss = exit_loss(run.logits, batch.labels, batch.ages, config.frames, config)
        loss = loss + config.probe * self.probe.loss(self.heads.combine(v), batch.labels)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, config.clip_norm)
        self.optimiser.step()
        self.step += 1
        right = run.logits[:, -1].argmax(-1) == batch.labels[:, -1:]
        return loss.item(), right.float().mean(0).numpy()

    def pooled(self, batch: Batch, generator: torch.Generator | None) -> list[Tensor]:
        """Pooled features of the batch's frames, augmented if there is a generator."""
        if generator is None:
            return self.features(self.images(batch, small=False))
        x = self.images(batch, self.step < self.config.small_share * self.config.steps)
        return self.features(augment(x, self.config, generator))

    def images(self, batch: Batch, small: bool) -> Tensor:
        """Normalised images, shrunk when `small` and the configuration says so."""
        rows = [self.clips.frames[index][at] for index, at, _ in batch.picks]
        mirrored = (row[:, :, ::-1] if flip else row for row, (_, _, flip) in zip(rows, batch.picks))
        x = normalise(torch.from_numpy(np.concatenate(list(mirrored)))).contiguous(memory_format=torch.channels_last)
        if small and self.config.small:
            x = F.interpolate(x, size=self.config.small, mode="bilinear", antialias=True)
        return x

    def features(self, x: Tensor) -> list[Tensor]:
        """Pooled features of images, through the frozen segments first."""
        pooled = []
        for i, segment in enumerate(self.segments):
            if i < len(self.frozen):
                with torch.no_grad():
                    x = self.frozen[i](x)
            else:
                x = segment(x)
            pooled.append(self.trunk.pool(x))
        return pooled

    def freeze(self) -> None:
        """Freeze the segments whose time has come."""
        count = sum(self.step >= share * self.config.steps for share in self.config.freeze)
        if count > len(self.frozen):
            self.frozen = list(self.trunk.fold().to(memory_format=torch.channels_last).segments)[:count]
            self.trunk.segments[:count].requires_grad_(False)

    def fit(self) -> None:
        """Train to the end, with a progress line and checkpoints, then measure the batch norms."""
        config = self.config
        self.trunk.train()
        self.heads.train()
        started, first = time.monotonic(), self.step
        losses, rights = [], []
        while self.step < config.steps:
            loss, right = self.train_step()
            if not math.isfinite(loss):
                raise FloatingPointError(f"the loss is {loss} at step {self.step}: lower `trunk_rate`")
            losses.append(loss)
            rights.append(right)
            if self.step % config.checkpoint_every == 0 or self.step == config.steps:
                if self.step == config.steps:
                    self.measure_norms()
                self.save()
                eta = (time.monotonic() - started) / (self.step - first) * (config.steps - self.step)
                accuracy = " ".join(f"{a:.2f}" for a in np.mean(rights, 0))
                print(
                    f"train {self.step}/{config.steps}  loss {np.mean(losses):.3f}  last-frame accuracy "
                    f"by exit {accuracy}  {eta / 60:.1f} min left",
                    file=sys.stderr,
                    flush=True,
                )
                losses, rights = [], []

    @torch.no_grad()
    def measure_norms(self) -> None:
        """Replace the batch norms' running statistics by the mean over `norm_steps` batches."""
        live = (self.trunk.segments[len(self.frozen) :], self.heads)
        norms = [m for net in live for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        for step in range(self.config.norm_steps):
            batch = draw(self.clips, self.config, self.heads.exits, step)
            self.heads.adapt(self.pooled(batch, None))
        for norm in norms:
            norm.momentum = 0.1
