"""Every constant and seed of a run, fixed before training.

A recipe's splits come from different seeds of the scene generator, whose clip i of seed S is
drawn from hash(S, i): seeds share no clip.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .heads import HeadSizes


@dataclass(frozen=True)
class Split:
    """Generated clips: `count` of them, drawn from `seed`."""

    seed: int
    count: int
    frames: int = 20
    fps: float = 10.0
    stream: bool = False
    """Endless footage whose action and scene change at random, labelled per frame."""
    difficulty: float | None = None
    """Of every scene; None draws it uniformly from 0..1."""


@dataclass(frozen=True)
class Training:
    """End-to-end training of trunk, adapters, LSTM and classifiers on random commit paths."""

    steps: int = 4300
    clips: int = 12
    """Clips per step."""
    frames: int = 7
    """Frames taken of each clip, in order."""
    contiguous: float = 0.5
    """Share of clips whose frames follow each other; the rest are a random subset."""
    paired: float = 0.3
    """Share of steps that join clips two by two, so that the state meets a change of action and scene."""
    easy: float = 0.3
    """Training starts on clips up to this difficulty ..."""
    easy_share: float = 0.3
    """... and reaches all of them after this share of the steps."""
    probe: float = 0.5
    """Weight of the single-frame classifiers' loss."""
    trunk_rate: float = 2e-3
    heads_rate: float = 2e-3
    trunk_decay: float = 1e-3
    heads_decay: float = 1e-3
    small: int | None = None
    """Side to which images are shrunk at first, pixels: cheap steps while the trunk knows little."""
    small_share: float = 0.5
    """Share of the steps on small images."""
    freeze: tuple[float, ...] = ()
    """Segment i is left as it is after share freeze[i] of the steps."""
    warm_up: float = 0.1
    """Share of the steps spent raising the learning rate."""
    smoothing: float = 0.05
    ramp: tuple[float, float] = (0.3, 1.0)
    """Weight of the loss from the first to the last frame of an action."""
    clip_norm: float = 2.0
    gain_noise: float = 0.1
    offset_noise: float = 0.05
    checkpoint_every: int = 100
    norm_steps: int = 60
    """Steps that measure the batch norms' final statistics."""
    seed: int = 11


@dataclass(frozen=True)
class Tuning:
    """LSTM, mix and classifiers again, at full length, on clips and streams the trunk has not seen."""

    epochs: int = 12
    batch: int = 64
    rate: float = 1e-3
    decay: float = 1e-3
    stream_window: int = 60
    """Frames of a stream per sequence: longer than T, so that carrying on is learnt."""
    seed: int = 12


@dataclass(frozen=True)
class Gating:
    """Attention and gates, everything else frozen, on the calibration split."""

    epochs: int = 24
    random_epochs: int = 8
    """Epochs on random commit paths; the rest run on the gates' own."""
    batch: int = 64
    rate: float = 2e-3
    decay: float = 1e-3
    stream_window: int = 60
    """Frames of a stream per sequence."""
    base: float = 0.05
    """An exit is right when its cross-entropy is at most base * exp(e / 2)."""
    fall: float = 1.0
    """Each exit's threshold as a share of the one before it. Deep exits agree with the last one nearly always;
    below 1 they are left more readily."""
    seed: int = 13


@dataclass(frozen=True)
class Recipe:
    """All that makes one bundle."""

    name: str
    backbone: str
    size: int
    """Side of the square input, pixels."""
    splits: dict[str, Split]
    heads: HeadSizes = field(default_factory=HeadSizes)
    training: Training = field(default_factory=lambda: Training(small=64, freeze=(0.75, 0.9)))
    tuning: Tuning = field(default_factory=Tuning)
    gating: Gating = field(default_factory=Gating)
    window: int = 20
    fps: float = 10.0
    fit: str = "crop"
    """How frames of another aspect ratio are made square: crop or stretch."""
    golden_clips: int = 4
    drop_margin: float = 0.0
    """Validation accuracy (0..1) that thresholds must gain over full depth; 0 is zero drop."""

    @property
    def frame_interval_ns(self) -> int:
        """Spacing of frames."""
        return round(1e9 / self.fps)


MOBILENETV2_E5 = Recipe(
    name="mobilenetv2-e5",
    backbone="mobilenetv2",
    size=96,
    tuning=Tuning(epochs=4),
    gating=Gating(fall=0.3),
    splits={
        "train": Split(seed=20101, count=10000),
        "tune": Split(seed=20102, count=3000),
        "tune_streams": Split(seed=20103, count=60, frames=400, stream=True),
        "calibration": Split(seed=20104, count=2000),
        "calibration_streams": Split(seed=20112, count=60, frames=400, stream=True),
        "validation": Split(seed=20105, count=2000),
        "validation_streams": Split(seed=20106, count=40, frames=400, stream=True),
        "test": Split(seed=20107, count=4000),
        "test_streams": Split(seed=20108, count=60, frames=400, stream=True),
        "test_slow": Split(seed=20109, count=1000, fps=5.0),
        "test_even": Split(seed=20109, count=1000),
        "test_fast": Split(seed=20109, count=1000, fps=20.0),
        "golden": Split(seed=20110, count=4),
        "shipped": Split(seed=20124, count=16),
    },
)

EFFICIENTNET_B0_E5 = replace(
    MOBILENETV2_E5, name="efficientnet-b0-e5", backbone="efficientnet-b0", tuning=Tuning()
)

TINY_DIFFICULTY = 0.1
"""32 pixels show no hard scene."""

TINY_E2 = Recipe(
    name="tiny-e2",
    backbone="tiny",
    size=32,
    splits={
        "train": Split(seed=20201, count=500, difficulty=TINY_DIFFICULTY),
        "tune": Split(seed=20202, count=200, difficulty=TINY_DIFFICULTY),
        "calibration": Split(seed=20204, count=200, difficulty=TINY_DIFFICULTY),
        "validation": Split(seed=20205, count=200, difficulty=TINY_DIFFICULTY),
        "test": Split(seed=20207, count=300, difficulty=TINY_DIFFICULTY),
        "golden": Split(seed=20210, count=1, difficulty=TINY_DIFFICULTY),
    },
    heads=HeadSizes(grid=2, adapter_channels=8, feature=32, hidden=24, attention=8, gate_projection=8),
    training=Training(steps=800, clips=16, frames=7, trunk_rate=6e-3, heads_rate=4e-3, norm_steps=20),
    tuning=Tuning(epochs=10),
    gating=Gating(epochs=24, base=0.3),
    golden_clips=1,
)

RECIPES = {r.name: r for r in (MOBILENETV2_E5, EFFICIENTNET_B0_E5, TINY_E2)}
