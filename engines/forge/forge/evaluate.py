"""Measurements for the card: accuracy, depth and cost of a finished network on adapter outputs.

Exits count from 0 here and from 1 in the card. Accuracy is clip accuracy (the class at a clip's
last frame) unless a name says frame accuracy. Cost is the share of the backbone's
multiply-accumulates; `cost_with_heads` adds the heads of every exit visited, against all heads.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from .clips import ClipSet
from .export import head_macs
from .heads import Heads
from .stream import Life, Policy, Trace, cut_distances, run, run_streams
from .trunk import Trunk

BOOTSTRAP = 10_000
BOOTSTRAP_SEED = 5
DROP_SEED = 6
AFTER_CHANGE = 5
"""Frames after a change whose depth is reported apart."""


@dataclass
class Costs:
    """Cumulative multiply-accumulates up to every exit as shares of all, [E]."""

    backbone: np.ndarray
    with_heads: np.ndarray

    @staticmethod
    def of(trunk: Trunk, heads: Heads) -> Costs:
        """Counted from the description."""
        segments = np.array(trunk.description.macs(*trunk.size), float)
        both = segments + np.array(head_macs(heads), float)
        return Costs(segments.cumsum() / segments.sum(), both.cumsum() / both.sum())


def right_at(trace: Trace, labels: np.ndarray) -> np.ndarray:
    """Right class at every frame, [B, T] bool; labels [B] or [B, T]."""
    target = labels if labels.ndim == 2 else labels[:, None]
    return trace.logits.argmax(-1).numpy() == target


def summary(trace: Trace, labels: np.ndarray, costs: Costs) -> dict:
    """Accuracy, frame accuracy, cost and exits of a run."""
    exits, right = trace.exits.numpy(), right_at(trace, labels)
    return {
        "accuracy": float(right[:, -1].mean()),
        "frame_accuracy": float(right.mean()),
        "cost": float(costs.backbone[exits].mean()),
        "cost_with_heads": float(costs.with_heads[exits].mean()),
        "mean_exit": float(exits.mean()),
        "exits": [float((exits == e).mean()) for e in range(len(costs.backbone))],
    }


def paired_interval(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """95 % bootstrap interval of mean(a) - mean(b) over the same clips."""
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    difference = a.astype(np.float64) - b.astype(np.float64)
    count = len(difference)
    # A resample of values -1, 0, 1 is a draw of how often each comes up.
    shares = [(difference == x).mean() for x in (-1, 0, 1)]
    draws = rng.multinomial(count, shares, BOOTSTRAP)
    means = (draws[:, 2] - draws[:, 0]) / count
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def interval(right: np.ndarray) -> tuple[float, float]:
    """95 % bootstrap interval of a share."""
    return paired_interval(right, np.zeros_like(right))


def by_quartile(values: np.ndarray, difficulty: np.ndarray) -> list[float]:
    """Mean of `values` [B] over each quarter of the clips by difficulty, easiest first."""
    order = np.argsort(difficulty, kind="stable")
    return [float(values[part].mean()) for part in np.array_split(order, 4)]


def clip_report(heads: Heads, v: Tensor, clips: ClipSet, costs: Costs, gated: Policy, softmax: Policy) -> dict:
    """Everything measured on the test clips with their own frames."""
    labels = clips.labels
    pure = [run(heads, v, Policy.always(e, heads.exits)) for e in range(heads.exits)]
    full, trace, soft = pure[-1], run(heads, v, gated), run(heads, v, softmax)
    full_right, gated_right = right_at(full, labels)[:, -1], right_at(trace, labels)[:, -1]
    report = {
        "clips": len(clips),
        "pure": [summary(p, labels, costs) for p in pure],
        "full_interval": interval(full_right),
        "gated": summary(trace, labels, costs),
        "gated_interval": interval(gated_right),
        "difference": float(gated_right.mean() - full_right.mean()),
        "difference_interval": paired_interval(gated_right, full_right),
        "softmax": summary(soft, labels, costs),
        "softmax_difference_interval": paired_interval(right_at(soft, labels)[:, -1], gated_right),
        "mean_exit_by_frame": trace.exits.float().mean(0).tolist(),
        "single_frame": single_frame(heads, v, labels),
        "windows": {str(t): window_report(heads, v, labels, costs, gated, t) for t in (5, 10, 20) if t <= v.shape[1]},
    }
    if clips.difficulty is not None and np.ptp(clips.difficulty) > 0:
        exits = trace.exits.float().mean(1).numpy()
        report["quartiles"] = {
            "gated": by_quartile(gated_right, clips.difficulty),
            "full": by_quartile(full_right, clips.difficulty),
            "first": by_quartile(right_at(pure[0], labels)[:, -1], clips.difficulty),
            "mean_exit": by_quartile(exits, clips.difficulty),
        }
    return report


def single_frame(heads: Heads, v: Tensor, labels: np.ndarray) -> list[float]:
    """Accuracy of every exit on one frame from a zero state, over all frames."""
    frames = v.flatten(0, 1)[:, None]
    target = np.repeat(labels, v.shape[1])
    return [float(right_at(run(heads, frames, Policy.always(e, heads.exits)), target).mean()) for e in range(heads.exits)]


def window_report(heads: Heads, v: Tensor, labels: np.ndarray, costs: Costs, policy: Policy, window: int) -> dict:
    """Clips of `window` frames: the state is zeroed every `window` frames, the last frame of each counts."""
    used = v[:, : v.shape[1] // window * window]
    trace, full = (run(heads, used, p, window) for p in (policy, Policy.always(heads.exits - 1, heads.exits)))
    last = slice(window - 1, None, window)
    return {
        "accuracy": float(right_at(trace, labels)[:, last].mean()),
        "full_accuracy": float(right_at(full, labels)[:, last].mean()),
        "cost": float(costs.backbone[trace.exits.numpy()].mean()),
    }


def paced(heads: Heads, v: Tensor, labels: np.ndarray, costs: Costs, gated: Policy) -> dict:
    """Gated and full depth on clips of another frame interval."""
    full = run(heads, v, Policy.always(heads.exits - 1, heads.exits))
    return {"gated": summary(run(heads, v, gated), labels, costs), "full": summary(full, labels, costs)}


def dropped(heads: Heads, v: Tensor, labels: np.ndarray, costs: Costs, gated: Policy, share: float) -> dict:
    """Gated and full depth when each frame is lost with probability `share` (one always remains)."""
    rng = np.random.default_rng([DROP_SEED, round(share * 1000)])
    kept = rng.random(v.shape[:2]) >= share
    kept[:, -1] |= ~kept.any(1)
    count = kept.sum(1)
    order = torch.from_numpy(np.argsort(~kept, axis=1, kind="stable"))
    packed = v.gather(1, order[:, :, None, None].expand_as(v))
    out = {}
    for name, policy in (("gated", gated), ("full", Policy.always(heads.exits - 1, heads.exits))):
        trace = run(heads, packed, policy)
        right = right_at(trace, labels)[np.arange(len(v)), count - 1]
        seen = np.arange(v.shape[1]) < count[:, None]
        cost = costs.backbone[trace.exits.numpy()][seen].mean()
        out[name] = {"accuracy": float(right.mean()), "cost": float(cost)}
    return out


def stream_report(heads: Heads, v: Tensor, streams: ClipSet, costs: Costs, gated: Policy, life: Life) -> dict:
    """Frame accuracy, delay after a change of action, depth and cost on endless streams."""
    trace = run_streams(heads, v, gated, life)
    right, exits = right_at(trace, streams.labels), trace.exits.numpy()
    delays, never, after = [], 0, np.zeros(exits.shape, bool)
    for row, changes in enumerate(streams.changes):
        starts = [t for t in np.flatnonzero(changes) if t > 0]
        for start, end in zip(starts, [*starts[1:], exits.shape[1]]):
            after[row, start : start + AFTER_CHANGE] = True
            hits = np.flatnonzero(right[row, start:end])
            if end < exits.shape[1] or len(hits):
                delays.append(hits[0] if len(hits) else end - start)
                never += not len(hits)
    return {
        "life": asdict(life),
        "frame_accuracy": float(right.mean()),
        "delay_median": float(np.median(delays)),
        "delay_p90": float(np.quantile(delays, 0.9)),
        "never": never / max(1, len(delays)),
        "changes": len(delays),
        "exit_after_change": float(exits[after].mean()),
        "exit_elsewhere": float(exits[~after].mean()),
        "cost": float(costs.backbone[exits].mean()),
    }


CUT_QUANTILES = (0.9, 0.93, 0.95, 0.96, 0.97, 0.975, 0.98, 0.985, 0.99, 0.995)


def lives(heads: Heads, v: Tensor, streams: ClipSet, gated: Policy) -> list[Life]:
    """Every state policy, with cuts ignored and with the cut distance best for it on these streams."""
    candidates = np.quantile(cut_distances(v).numpy(), CUT_QUANTILES)
    out = []
    for policy in ("carry", "reset", "staggered"):
        out.append(Life(policy))
        options = [Life(policy, round(float(d), 4)) for d in candidates]
        scores = [right_at(run_streams(heads, v, gated, life), streams.labels).mean() for life in options]
        out.append(options[int(np.argmax(scores))])
    return out


def choose_life(reports: list[dict], tolerance: float = 0.002) -> Life:
    """The first life, in the order of `lives`, within `tolerance` of the best frame accuracy: the simplest that does."""
    best = max(r["frame_accuracy"] for r in reports)
    return Life(**next(r["life"] for r in reports if r["frame_accuracy"] >= best - tolerance))
