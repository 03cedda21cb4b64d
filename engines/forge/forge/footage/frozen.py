"""Training with a frozen backbone (`--freeze`): every frame goes through it once, or in `VIEWS` views
where it is trained on, and what the heads read of it stays on disk.

Files are named by the backbone's weights and grid, the clip's key in the store and the view, so that
another run, split or set of heads computes nothing again. Features are kept as f16: half the disk for a
rounding of 5e-4 that training does not notice. Batch norms of the backbone keep the statistics that
they came with.
"""

from __future__ import annotations

import hashlib
import os
import time
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..clips import ClipSet
from ..config import Training
from ..export import normalise
from ..heads import Heads
from ..segments import Sessions
from ..train import Batch, Trainer
from ..trunk import Trunk
from .scan import note
from .store import Store, Stored

VIEWS = 4
"""Of a clip that is trained on: as it is, mirrored, and both again of a part of it in other light."""
SMALLEST_PART = 0.7
"""Side of that part at least, as a share of the frame's."""
BATCH = 20
"""Frames that go through the backbone together."""


def weights_digest(folded: Trunk) -> str:
    """Names the weights, the input size and the grid that pooled features depend on."""
    digest = hashlib.sha256(f"{folded.description.name} {folded.size} {folded.grid}".encode())
    for name, tensor in sorted(folded.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def see(pixels: np.ndarray, key: str, view: int) -> Tensor:
    """Frames u8 [B, S, S, 3] of a clip as seen in a view, normalised [B, 3, S, S]; the same every time."""
    x = normalise(torch.from_numpy(np.array(pixels)))
    if view >= 2:
        rng = np.random.default_rng([int(key[:8], 16), view])
        size = x.shape[-1]
        side = round(size * rng.uniform(SMALLEST_PART, 1.0))
        top, left = (int(rng.integers(0, size - side + 1)) for _ in "yx")
        part = x[..., top : top + side, left : left + side]
        x = F.interpolate(part, size=(size, size), mode="bilinear", antialias=True)
        x = (x * rng.uniform(0.75, 1.25) + rng.uniform(-0.2, 0.2)).clamp(-1.0, 1.0)
    return (x.flip(-1) if view % 2 else x).contiguous()


class Pooled:
    """Pooled features of clips, [W, T, P] f16 a clip: all exits' [C_e, g, g] one after the other."""

    def __init__(self, folder: Path, trunk: Trunk, store: Store) -> None:
        """`trunk` is folded."""
        self.folder, self.trunk, self.store = folder / weights_digest(trunk), trunk, store
        grid = trunk.grid
        self.shapes = [(channels, grid, grid) for channels in trunk.description.channels()]
        self.width = sum(int(np.prod(shape)) for shape in self.shapes)

    def path(self, clip: Stored, view: int = 0) -> Path:
        """The file of a clip."""
        return self.folder / f"{clip.key}.{view}.npy"

    def prepare(self, clips: list[Stored], views: int, title: str) -> None:
        """Compute what is missing, with a progress line."""
        todo = [(clip, view) for clip in clips for view in range(views) if not self.path(clip, view).exists()]
        self.folder.mkdir(parents=True, exist_ok=True)
        started = reported = time.monotonic()
        for i, (clip, view) in enumerate(todo):
            self._compute(clip, view)
            now = time.monotonic()
            if now - reported > 20 or i + 1 == len(todo):
                left = (now - started) / (i + 1) * (len(todo) - i - 1) / 60
                note(f"features of the {title} split: {i + 1}/{len(todo)} passes, {left:.1f} min left")
                reported = now

    @cached_property
    def sessions(self) -> Sessions:
        """The backbone in ONNX Runtime."""
        return Sessions.of_trunk(self.trunk)

    def _compute(self, clip: Stored, view: int) -> None:
        windows = np.load(self.store.path(clip.key), mmap_mode="r")
        flat = windows.reshape(-1, *windows.shape[2:])
        out = np.empty((len(flat), self.width), np.float16)
        for at in range(0, len(flat), BATCH):
            pooled = self.sessions(see(flat[at : at + BATCH], clip.key, view).numpy())
            out[at : at + BATCH] = np.concatenate([p.reshape(len(p), -1) for p in pooled], 1)
        path = self.path(clip, view)
        partial = path.with_suffix(".partial.npy")
        np.save(partial, out.reshape(*windows.shape[:2], self.width))
        os.replace(partial, path)

    def split(self, flat: Tensor) -> list[Tensor]:
        """[B, P] -> per exit [B, C_e, g, g] f32."""
        parts = flat.float().split([int(np.prod(shape)) for shape in self.shapes], 1)
        return [part.reshape(-1, *shape) for part, shape in zip(parts, self.shapes)]

    @torch.inference_mode()
    def adapted(self, heads: Heads, clips: list[Stored]) -> Tensor:
        """v of every window, [N, T, E, D] f32, by finished heads."""
        rows = []
        for clip in clips:
            for window in np.load(self.path(clip), mmap_mode="r"):
                rows.append(heads.adapt(self.split(torch.from_numpy(np.array(window)))))
        return torch.stack(rows)


class FrozenTrainer(Trainer):
    """A `Trainer` of the heads alone, on pooled features."""

    def __init__(
        self,
        trunk: Trunk,
        heads: Heads,
        clips: ClipSet,
        config: Training,
        checkpoint: Path,
        pooled: Pooled,
        stored: list[Stored],
    ) -> None:
        """`clips` are the windows of `stored`, in that order; their pixels are not read."""
        super().__init__(trunk, heads, clips, config, checkpoint)
        trunk.requires_grad_(False)
        self.frozen = list(pooled.trunk.segments)
        self.store = pooled
        self.rows = [(clip, i) for clip in stored for i in range(clip.windows)]

    def pooled(self, batch: Batch, generator: torch.Generator | None) -> list[Tensor]:
        """Pooled features of the batch's frames, with a random gain per frame if there is a generator."""
        rows = []
        pairs = np.random.default_rng([self.config.seed, 1 << 33, self.step]).integers(0, VIEWS // 2, len(batch.picks))
        for (index, at, mirrored), pair in zip(batch.picks, pairs):
            clip, window = self.rows[index]
            rows.append(np.load(self.store.path(clip, 2 * int(pair) + mirrored), mmap_mode="r")[window][at])
        parts = self.store.split(torch.from_numpy(np.concatenate(rows)))
        if generator is None:
            return parts
        gain = 1 + self.config.gain_noise * torch.randn(len(parts[0]), 1, 1, 1, generator=generator)
        return [part * gain for part in parts]
