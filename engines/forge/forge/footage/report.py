"""What the card of a bundle trained on footage says more, and less, than that of a generated one.

Such sets are small: every interval is a 95 % bootstrap interval over the test split's groups, and
accuracy by class stands beside the overall one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .. import card
from ..card import percent, points, span, table
from ..clips import ClipSet
from ..config import Recipe
from ..evaluate import BOOTSTRAP, BOOTSTRAP_SEED
from ..heads import Heads
from ..stream import Policy, step

Interval = tuple[float, float]
DOUBT = 2e-3
"""A probability this near its threshold is no clear decision; engines are held to half of it."""


def group_interval(values: np.ndarray, groups: list[str]) -> Interval:
    """95 % bootstrap interval of the mean of `values` [N] when whole groups are drawn with replacement."""
    _, index = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(index, values.astype(float)), np.bincount(index)
    draws = np.random.default_rng(BOOTSTRAP_SEED).multinomial(len(sums), [1 / len(sums)] * len(sums), BOOTSTRAP)
    means = (draws @ sums) / (draws @ counts)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def by_class(right: np.ndarray, labels: np.ndarray, names: list[str], groups: list[str]) -> list[dict]:
    """Accuracy of every class that the split has."""
    rows = []
    for k, name in enumerate(names):
        mask = labels == k
        if mask.any():
            own = [g for g, m in zip(groups, mask) if m]
            rows.append(
                {
                    "class": name,
                    "windows": int(mask.sum()),
                    "groups": len(set(own)),
                    "accuracy": float(right[mask].mean()),
                    "interval": group_interval(right[mask], own),
                }
            )
    return rows


def joined(v: Tensor, labels: np.ndarray, seed: int, windows: int = 10) -> tuple[Tensor, ClipSet]:
    """Endless streams made of a split's windows, ten after one another in random order: scenes cut hard.

    The set holds no pixels, only labels, cuts and changes per frame.
    """
    rng = np.random.default_rng(seed)
    count = max(8, min(60, -(-len(v) // windows) * 2))
    order = np.concatenate([rng.permutation(len(v)) for _ in range(-(-count * windows // len(v)))])
    order = order[: count * windows].reshape(count, windows)
    length = v.shape[1]
    stream = v[torch.from_numpy(order)].flatten(1, 2)
    per_frame = np.repeat(labels[order], length, 1)
    cuts = np.tile(np.arange(length) == 0, (count, windows))
    changes = np.zeros_like(cuts)
    changes[:, 1:] = per_frame[:, 1:] != per_frame[:, :-1]
    blank = np.broadcast_to(np.zeros((), np.uint8), (*per_frame.shape, 1, 1, 3))
    return stream, ClipSet(blank, per_frame, [], cuts=cuts, changes=changes)


@torch.no_grad()
def doubtful(heads: Heads, v: Tensor, policy: Policy) -> list[int]:
    """Decisions of every clip of v [N, T, E, D] along its own path that rounding could turn."""
    projected, state = heads.project(heads.combine(v)), heads.start(len(v))
    counts = torch.zeros(len(v), dtype=torch.long)
    for t in range(v.shape[1]):
        frame = step(heads, projected[:, t], state, policy)
        counts += ((frame.confidence - torch.tensor(policy.thresholds)).abs() < DOUBT).sum(1)
        state = frame.state
    return counts.tolist()


def render(recipe: Recipe, results: dict, made: dict) -> str:
    """CARD.md."""
    sections: list[Callable[[], str]] = [
        lambda: _head(recipe, results, made),
        lambda: _classes(results),
        lambda: card._clips(results["clips"]),
        lambda: card._costs(results),
        lambda: card._ablations(results),
        lambda: _streams(results),
        lambda: card._robustness(results),
        lambda: _made(recipe, results, made),
    ]
    return "\n".join(text for text in (s() for s in sections) if text)


def _head(recipe: Recipe, results: dict, made: dict) -> str:
    clips, footage = results["clips"], results["footage"]
    gated, test = clips["gated"], results["footage"]["splits"]["test"]
    return f"""# {recipe.name}

{recipe.backbone} with {len(clips["pure"])} exits and the temporal heads of `e4.bundle/1`, {recipe.size}x{recipe.size} px,
T = {recipe.window} frames of {1000 / recipe.fps:g} ms. Classes: {", ".join(results["labels"])}.
{made["provenance"]}

On {test["windows"]} test windows of {test["clips"]} clips from {test["groups"]} groups, gated: **{percent(gated["accuracy"])} %** \
({span(clips["gated_interval"])})
at **{percent(gated["cost"])} %** of the backbone's multiply-accumulates; mean over classes \
{percent(footage["balanced"]["gated"])} %; full depth {percent(clips["pure"][-1]["accuracy"])} %
({span(clips["full_interval"])}); gated minus full depth {points(clips["difference"])} points, paired 95 % interval \
{span(clips["difference_interval"], True)}.

Accuracy is that of the class at a window's last frame, from a zeroed state. Intervals are 95 % bootstrap
intervals over groups and know nothing of the spread between training runs; with {test["groups"]} groups they are
themselves rough. MACs are counted, not timed. Exits count from 1.
"""


def _classes(results: dict) -> str:
    rows = [
        [r["class"], r["windows"], r["groups"], percent(r["accuracy"]), span(r["interval"])]
        for r in results["footage"]["classes"]
    ]
    return "## By class, gated\n\n" + table(["class", "test windows", "groups", "accuracy %", "95 % interval"], rows)


def _streams(results: dict) -> str:
    if "streams" not in results:
        return ""
    return f"""## Endless streams

{results["stream_count"]} streams of {results["stream_frames"]} frames, joined from the test windows in random order, each join a
hard cut; {results["streams"][0]["changes"]} changes of class. The life of the state (bold) was chosen on streams joined from the
validation windows. Delay: frames from the change until the answer is first right.

{card.stream_table(results)}"""


def _made(recipe: Recipe, results: dict, made: dict) -> str:
    rows = [
        [name, s["groups"], s["clips"], s["windows"], s["held"], " / ".join(str(n) for n in s["by_class"])]
        for name, s in results["footage"]["splits"].items()
    ]
    t = recipe.training
    return f"""## How it was made

```
{made["command"]}
```

Commit {made["commit"]}; torch {made["torch"]}, seed {t.seed} (training and splits), {recipe.gating.seed} (gates). {t.steps} steps of \
{t.clips} windows x {t.frames} frames,
classes drawn equally often; {recipe.gating.epochs} epochs of the gates. ONNX Runtime against PyTorch: largest relative error of a
pooled feature {made["onnx_error"]}. A window shorter than {recipe.window} frames holds its last frame (held). {made["note"]}

{table(["split", "groups", "clips", "windows", "of them held", "windows by class"], rows)}"""
