"""Train, validation, calibration and test: by group, balanced by class, the same for the same seed.

All clips of a group go into one split. A class needs `FEWEST` groups: one each to train on, to test
on and to calibrate the gates on; with one more, thresholds are chosen on it too. Groups are counted,
not clips.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict

from . import FootageError
from .scan import Clip, note

SHARES = {"train": 0.55, "test": 0.2, "calibration": 0.125, "validation": 0.125}
"""In the order in which a class's first groups are given out."""
FEWEST = 3


def split(clips: list[Clip], seed: int) -> dict[str, list[Clip]]:
    """Clips of every split, in their order."""
    classes: dict[str, set[str]] = defaultdict(set)
    labels: dict[str, set[str]] = defaultdict(set)
    for clip in clips:
        classes[clip.label].add(clip.group)
        labels[clip.group].add(clip.label)
    few = {label: len(groups) for label, groups in sorted(classes.items()) if len(groups) < FEWEST}
    if few:
        told = ", ".join(f"{label} has {count}" for label, count in few.items())
        raise FootageError(f"every class needs at least {FEWEST} groups (files, or sources in groups.csv): {told}")
    home = _assign(classes, labels, seed)
    out = {name: [c for c in clips if home[c.group] == name] for name in SHARES}
    for name, chosen in out.items():
        lacking = sorted(set(classes) - {c.label for c in chosen})
        if lacking and name in ("train", "test"):
            told = ", ".join(lacking)
            raise FootageError(f"no {name} clips of {told} remain: its groups are shared with other classes, add more")
        if lacking:
            note(f"the {name} split has no clips of {', '.join(lacking)}: {FEWEST + 1} groups per class would do")
    if not out["calibration"]:
        raise FootageError("no calibration clips remain: the groups are shared between classes, add more")
    if not out["validation"]:
        note("thresholds are chosen on the calibration split")
        out["validation"] = out["calibration"]
    return out


def wanted(groups: int) -> dict[str, float]:
    """How many of a class's groups each split should get: its share, and one each as long as there are any."""
    floors = {name: 1.0 if i < groups else 0.0 for i, name in enumerate(SHARES)}
    rest = max(0.0, groups - sum(floors.values()))
    excess = {name: max(0.0, share * groups - floors[name]) for name, share in SHARES.items()}
    total = sum(excess.values()) or 1.0
    return {name: floors[name] + rest * excess[name] / total for name in SHARES}


def _assign(classes: dict[str, set[str]], labels: dict[str, set[str]], seed: int) -> dict[str, str]:
    """Split by group: the rarest class first, each group to the split that lacks most of that class."""
    missing = {label: wanted(len(groups)) for label, groups in classes.items()}
    order = {name: i for i, name in enumerate(SHARES)}
    home: dict[str, str] = {}
    for label in sorted(classes, key=lambda c: (len(classes[c]), c)):
        for group in sorted(classes[label] - set(home), key=lambda g: _shuffled(g, seed)):
            name = max(SHARES, key=lambda n: (missing[label][n], -order[n]))
            home[group] = name
            for other in labels[group]:
                missing[other][name] -= 1
    return home


def _shuffled(group: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}\n{group}".encode()).hexdigest()
