"""What is trained after the trunk, on adapter outputs: the temporal part again at full length
(`tune`), then attention and gates on the calibration split with everything else frozen
(`train_gates`), then thresholds on the validation split (`pick_threshold`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .config import Gating, Training, Tuning
from .heads import Heads, betas, unroll
from .stream import Policy, run
from .train import exit_loss, one_cycle, random_path


@dataclass
class Sequences:
    """Adapter outputs [N, T, E, D], labels [N, T], frames since the action began [N, T]."""

    v: Tensor
    labels: Tensor
    ages: Tensor

    @staticmethod
    def of_clips(v: Tensor, labels: np.ndarray) -> Sequences:
        """One action per clip."""
        count, length = v.shape[:2]
        ages = torch.arange(length).expand(count, -1)
        return Sequences(v, torch.from_numpy(labels)[:, None].expand(-1, length), ages)

    @staticmethod
    def of_streams(v: Tensor, labels: np.ndarray, changes: np.ndarray) -> Sequences:
        """Actions that change at the frames marked in `changes` [N, T]."""
        age, ages = np.zeros(len(changes), np.int64), np.empty(changes.shape, np.int64)
        for t in range(changes.shape[1]):
            age = np.where(changes[:, t] | (t == 0), 0, age + 1)
            ages[:, t] = age
        return Sequences(v, torch.from_numpy(labels), torch.from_numpy(ages))

    def windows(self, length: int) -> Sequences:
        """Cut into consecutive sequences of `length` frames, the rest dropped."""
        count = self.v.shape[1] // length
        cut = lambda x: x[:, : count * length].reshape(-1, length, *x.shape[2:])  # noqa: E731
        return Sequences(cut(self.v), cut(self.labels), cut(self.ages))


def tune(heads: Heads, clips: Sequences, streams: Sequences | None, config: Tuning, loss: Training) -> None:
    """Train LSTM, mix and classifiers at full length on features the trunk was not fitted to."""
    rng = np.random.default_rng(config.seed)
    sources = _sources(clips, streams, config.stream_window)
    parameters = [heads.mix, *heads.lstm.parameters(), *heads.classifiers.parameters()]
    heads.requires_grad_(False)
    for p in parameters:
        p.requires_grad_(True)
    optimiser = torch.optim.AdamW(parameters, config.rate, weight_decay=config.decay)
    batches = sum(max(1, len(s.v) // config.batch) for s in sources)
    span, step = clips.v.shape[1], 0
    for epoch in range(config.epochs):
        plan, total = _plan(rng, sources, config.batch), 0.0
        for source, rows in plan:
            optimiser.param_groups[0]["lr"] = config.rate * one_cycle(step, batches * config.epochs, 0.1)
            v = source.v[rows]
            path = random_path(rng, *v.shape[:2], heads.exits)
            logits = unroll(heads, v, path).logits
            value = exit_loss(logits, source.labels[rows], source.ages[rows], span, loss)
            optimiser.zero_grad(set_to_none=True)
            value.backward()
            nn.utils.clip_grad_norm_(parameters, loss.clip_norm)
            optimiser.step()
            total += value.item()
            step += 1
        print(f"tune {epoch + 1}/{config.epochs}  loss {total / len(plan):.4f}", file=sys.stderr, flush=True)
    heads.requires_grad_(False)


def _sources(clips: Sequences, streams: Sequences | None, window: int) -> list[Sequences]:
    return [clips] if streams is None else [clips, streams.windows(window)]


def _plan(rng: np.random.Generator, sources: list[Sequences], size: int) -> list[tuple[Sequences, Tensor]]:
    """Batches of one epoch over all sources, shuffled."""
    batches = []
    for source in sources:
        order = torch.from_numpy(rng.permutation(len(source.v)))
        whole = [rows for rows in order.split(size) if len(rows) == size]
        batches += [(source, rows) for rows in whole or [order]]
    return [batches[i] for i in rng.permutation(len(batches))]


def right_labels(logits: Tensor, labels: Tensor, base: float) -> Tensor:
    """Whether exit e may be taken: cross-entropy <= base * exp(e / 2). [B, T, E, K], [B, T] -> [B, T, E-1] f32."""
    exits, classes = logits.shape[2:]
    target = labels[:, :, None].expand(-1, -1, exits)
    loss = F.cross_entropy(logits.reshape(-1, classes), target.reshape(-1), reduction="none").view(target.shape)
    limit = base * torch.exp(torch.arange(exits - 1) / 2)
    return (loss[:, :, :-1] <= limit).float()


def train_gates(heads: Heads, clips: Sequences, streams: Sequences | None, config: Gating) -> None:
    """Train attention and gates, first on random commit paths, then on the gates' own."""
    rng = np.random.default_rng(config.seed)
    torch.manual_seed(config.seed)
    heads.requires_grad_(False).eval()
    for layer in (m for part in (heads.attention, heads.gates) for m in part.modules() if isinstance(m, nn.Linear)):
        layer.reset_parameters()
    parameters = [p.requires_grad_(True) for p in heads.gate_parameters()]
    optimiser = torch.optim.AdamW(parameters, config.rate, weight_decay=config.decay)
    own = Policy((0.5,) * (heads.exits - 1))
    sources = _sources(clips, streams, config.stream_window)
    steps, step = config.epochs * len(_plan(rng, sources, config.batch)), 0
    for epoch in range(config.epochs):
        total = correct = seen = 0.0
        for source, rows in _plan(rng, sources, config.batch):
            optimiser.param_groups[0]["lr"] = config.rate * one_cycle(step, steps, 0.1)
            v, labels = source.v[rows], source.labels[rows]
            if epoch < config.random_epochs:
                path = random_path(rng, *v.shape[:2], heads.exits)
            else:
                path = run(heads, v, own).exits
            with torch.no_grad():
                frames = unroll(heads, v, path)
            share = betas(heads, frames, path)
            target = right_labels(frames.logits, labels, config.base)
            logits = torch.stack(
                [
                    gate(frames.committed, frames.h2[:, :, e], share[:, :, e], frames.logits[:, :, e])
                    for e, gate in enumerate(heads.gates)
                ],
                2,
            )
            value = F.binary_cross_entropy_with_logits(logits, target)
            optimiser.zero_grad(set_to_none=True)
            value.backward()
            optimiser.step()
            step += 1
            total += value.item() * target.numel()
            correct += ((logits > 0) == (target > 0.5)).sum().item()
            seen += target.numel()
        print(
            f"gates {epoch + 1}/{config.epochs}  loss {total / seen:.4f}  right {correct / seen:.3f}",
            file=sys.stderr,
            flush=True,
        )
    heads.requires_grad_(False)


@dataclass
class Point:
    """One threshold on one split."""

    threshold: float
    accuracy: float
    cost: float
    """Mean share of the backbone's multiply-accumulates."""
    frame_accuracy: float = 0.0


def sweep(
    heads: Heads, v: Tensor, labels: np.ndarray, cost: np.ndarray, policy: Callable[[float], Policy], grid: np.ndarray
) -> list[Point]:
    """Accuracy and cost of the policies of every threshold in `grid`; `cost` [E] is the share at every exit."""
    points = []
    for threshold in grid:
        trace = run(heads, v, policy(float(threshold)))
        right = trace.logits.argmax(-1).numpy() == labels[:, None]
        spent = float(cost[trace.exits.numpy()].mean())
        points.append(Point(float(threshold), float(right[:, -1].mean()), spent, float(right.mean())))
    return points


GATE_GRID = np.array([*np.arange(0.2, 0.95, 0.05), 0.95, 0.98]).round(2)
"""Lower thresholds may lose nothing on validation; they are not tried, as a margin for other splits."""
SOFTMAX_GRID = np.array([*np.arange(0.4, 0.9, 0.05), *np.arange(0.9, 0.99, 0.01), 0.99, 0.995]).round(3)


def pick_threshold(points: list[Point], target: float) -> Point:
    """The cheapest point whose accuracy reaches `target`; the most accurate if none does."""
    good = [p for p in points if p.accuracy >= target]
    if not good:
        return max(points, key=lambda p: (p.accuracy, -p.cost))
    return min(good, key=lambda p: (p.cost, p.threshold))


def pick_steady_threshold(points: list[Point], target: float, frame_target: float) -> Point:
    """The cheapest point that, with every higher threshold, reaches the target of clips and that of frames.

    For few clips, of which some always come out right by chance at a low threshold. The highest
    threshold if none does.
    """
    steady = sorted(points, key=lambda p: -p.threshold)
    kept = list(takewhile(lambda p: p.accuracy >= target and p.frame_accuracy >= frame_target, steady))
    return min(kept or steady[:1], key=lambda p: (p.cost, p.threshold))

