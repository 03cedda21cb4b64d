"""The recipe that the command line's flags make: sizes, lengths and rates for footage."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

from .. import initial
from ..config import Gating, HeadSizes, Recipe, Training
from . import FootageError


@dataclass(frozen=True)
class Footage:
    """What the command line says about footage."""

    data: Path
    cache: Path
    init: str | None
    freeze: bool
    seed: int
    limit: int
    """Windows of one clip at most."""


def grid_of(size: int) -> int:
    """Cells per side that the heads see of a `size` px input: 2..7 where the deepest map divides so, else 1."""
    side = size // 32
    return max((g for g in range(2, 8) if side % g == 0), default=1)


def recipe_of(args: Namespace) -> Recipe:
    """The recipe of the command line; ValueError names the flag."""
    if args.size % 32 or not 64 <= args.size <= 512:
        raise FootageError(f"--size {args.size} is no multiple of 32 from 64 to 512")
    if not 1 <= args.interval_ms <= 60_000:
        raise FootageError(f"--interval-ms {args.interval_ms:g} is not within 1..60000")
    if not 2 <= args.window <= 100:
        raise FootageError(f"--window {args.window} is not within 2..100")
    if args.freeze and not args.init:
        raise FootageError("--freeze needs --init: the weights of an untrained backbone are not worth keeping")
    if args.windows_per_clip < 1:
        raise FootageError("--windows-per-clip must be at least 1")
    if args.steps is not None and args.steps < 1:
        raise FootageError("--steps must be at least 1")
    natural = initial.natural_backbone(args.init) if args.init else None
    training = Training(
        steps=args.steps or (400 if args.freeze else 3000),
        clips=16 if args.freeze else 12,
        frames=max(2, args.window - args.window // 4) if args.freeze else min(7, args.window),
        trunk_rate=3e-4 if args.init else 2e-3,
        heads_decay=3e-2 if args.freeze else 1e-2,
        gain_noise=0.15 if args.freeze else 0.1,
        norm_steps=30,
        seed=args.seed,
    )
    return Recipe(
        name=args.name or args.data.resolve().name,
        backbone=args.backbone or natural or "mobilenetv2",
        size=args.size,
        splits={},
        heads=HeadSizes(grid=grid_of(args.size)),
        training=training,
        gating=Gating(base=0.2),
        window=args.window,
        fps=1000 / args.interval_ms,
        fit=args.fit,
        golden_clips=2,
    )
