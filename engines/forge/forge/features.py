"""Adapter outputs of whole splits, computed once by the folded network and kept on disk.

They are all that gates, thresholds and evaluation need: E x D floats a frame instead of an image.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .clips import ClipSet
from .export import normalise
from .heads import Heads
from .segments import Sessions
from .trunk import Trunk


def fingerprint(trunk: Trunk, heads: Heads) -> str:
    """Names the weights that adapter outputs depend on."""
    digest = hashlib.sha256()
    for module in (trunk, heads.adapters):
        for name, tensor in sorted(module.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


@torch.inference_mode()
def adapter_outputs(
    trunk: Trunk, heads: Heads, clips: ClipSet, cache: Path, models: list[bytes] | None = None
) -> Tensor:
    """v of every frame, [N, T, E, D] f32: from `cache` (an .npy file) when it is of these weights.

    `trunk` and `heads` are finished (`export.finish`). `models` are segments for batches of any
    size that take the trunk's place.
    """
    wanted: dict[str, object] = {"weights": fingerprint(trunk, heads), "frames": list(clips.frames.shape)}
    if models:
        wanted["segments"] = hashlib.sha256(b"".join(models)).hexdigest()
    note = cache.with_suffix(".json")
    if note.exists() and json.loads(note.read_text()) == wanted:
        return torch.from_numpy(np.load(cache))
    clip_count, length = clips.frames.shape[:2]
    out = np.empty((clip_count, length, heads.exits, heads.sizes.feature), np.float32)
    sessions = Sessions(models) if models else Sessions.of_trunk(trunk)
    started = reported = time.monotonic()
    for i in range(clip_count):
        for at in range(0, length, 32):
            x = normalise(torch.from_numpy(clips.frames[i, at : at + 32].copy()))
            pooled = [torch.from_numpy(p) for p in sessions(x.numpy())]
            out[i, at : at + 32] = heads.adapt(pooled).numpy()
        now = time.monotonic()
        if now - reported > 20:
            left = (now - started) / (i + 1) * (clip_count - i - 1)
            print(f"features of {cache.stem}: {i + 1}/{clip_count}, {left / 60:.1f} min left", file=sys.stderr)
            reported = now
    cache.parent.mkdir(parents=True, exist_ok=True)
    note.unlink(missing_ok=True)
    np.save(cache, out)
    note.write_text(json.dumps(wanted))
    return torch.from_numpy(out)
