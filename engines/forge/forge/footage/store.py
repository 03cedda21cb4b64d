"""Windows of T frames of every clip, decoded once and kept as u8 `.npy` files named by content.

A clip of n >= T frames gives n // T windows one after the other, and one more that ends at its last
frame where at least T/2 frames are left over. A shorter clip gives one window whose last frame is
held. Of a very long clip `limit` windows remain, spread evenly over it. A file's name in the cache is
a digest of the clip's bytes and of all that shapes the pixels: renaming or regrouping clips decodes
nothing, changing one decodes that one.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from . import FootageError
from .decode import frames
from .scan import Clip, note

FORMAT = 1
"""Raised when the same file would give other pixels."""


@dataclass(frozen=True)
class Sampling:
    """All that shapes the pixels of a window."""

    size: int
    """Side of the square, pixels."""
    fit: str
    interval_ns: int
    window: int
    """T, frames."""
    limit: int
    """Windows of one clip at most."""


@dataclass(frozen=True)
class Stored:
    """A clip whose windows are in the cache."""

    clip: Clip
    key: str
    windows: int
    frames: int
    """Sampled frames of the clip."""


def cut(source: Iterator[np.ndarray], window: int, limit: int) -> tuple[np.ndarray, int]:
    """(windows u8 [W, T, H, W, 3], frames read); none when there is no frame.

    Holds at most 2 * limit + 2 windows in memory however long the source is.
    """
    kept: list[tuple[int, list[np.ndarray]]] = []
    current: list[np.ndarray] = []
    last: list[np.ndarray] = []
    count, every = 0, 1
    for frame in source:
        current.append(frame)
        last = [*last[-(window - 1) :], frame]
        count += 1
        if len(current) < window:
            continue
        index = count // window - 1
        if index % every == 0:
            kept.append((index, current))
        current = []
        if len(kept) >= 2 * limit:
            every *= 2
            kept = [k for k in kept if k[0] % every == 0]
    windows = [frames for _, frames in kept]
    if count >= window and len(current) * 2 >= window:
        windows.append(last)
    elif count and count < window:
        windows.append(current + [current[-1]] * (window - len(current)))
    if len(windows) > limit:
        windows = [windows[i] for i in np.linspace(0, len(windows) - 1, limit).round().astype(int)]
    return (np.stack([np.stack(w) for w in windows]) if windows else np.empty(0, np.uint8)), count


class Store:
    """The cache folder of one sampling."""

    def __init__(self, folder: Path, sampling: Sampling) -> None:
        self.folder, self.sampling = folder, sampling
        settings = json.dumps({"format": FORMAT, **asdict(sampling)}, sort_keys=True)
        self.settings = hashlib.sha256(settings.encode()).hexdigest()
        self.index_path = folder / "index.json"
        self.index: dict[str, dict] = json.loads(self.index_path.read_text()) if self.index_path.exists() else {}

    def path(self, key: str) -> Path:
        """Where the windows of a key lie."""
        return self.folder / f"{key}.npy"

    def key(self, clip: Clip) -> str:
        """Digest of the clip's bytes and of the sampling; bytes are read again only when the file changed."""
        stat = clip.path.stat()
        state = [stat.st_size, stat.st_mtime_ns]
        entry = self.index.get(str(clip.path.resolve()), {})
        if entry.get("state") != state:
            with clip.path.open("rb") as file:
                entry = {"state": state, "content": hashlib.file_digest(file, "sha256").hexdigest()}
            self.index[str(clip.path.resolve())] = entry
        return hashlib.sha256((entry["content"] + self.settings).encode()).hexdigest()[:32]

    def add(self, clip: Clip) -> Stored:
        """Decode a clip unless its windows are there; FootageError names one that is broken."""
        try:
            key = self.key(clip)
        except OSError as error:
            raise FootageError(f"{clip.path} cannot be read ({error.strerror})") from error
        path, told = self.path(key), self.folder / f"{key}.json"
        if not (path.exists() and told.exists()):
            s = self.sampling
            source = frames(clip.path, Fraction(s.interval_ns, 10**9), s.size, s.fit)
            windows, count = cut(source, s.window, s.limit)
            if not count:
                raise FootageError(f"{clip.path} holds no frame")
            partial = path.with_suffix(".partial.npy")
            np.save(partial, windows)
            os.replace(partial, path)
            told.write_text(json.dumps({"windows": len(windows), "frames": count}))
        return Stored(clip, key, **json.loads(told.read_text()))

    def add_all(self, clips: list[Clip]) -> list[Stored]:
        """Every clip that decodes; the others are named on stderr."""
        self.folder.mkdir(parents=True, exist_ok=True)
        stored, skipped = [], 0
        started = reported = time.monotonic()
        for i, clip in enumerate(clips):
            try:
                stored.append(self.add(clip))
            except FootageError as error:
                skipped += 1
                note(f"skipped: {error}")
            now = time.monotonic()
            if now - reported > 20:
                left = (now - started) / (i + 1) * (len(clips) - i - 1) / 60
                note(f"clips {i + 1}/{len(clips)}, {left:.1f} min left")
                reported = now
        self.index_path.write_text(json.dumps(self.index))
        if not stored:
            raise FootageError(f"none of the {len(clips)} clips can be decoded")
        if skipped:
            note(f"{skipped} of {len(clips)} clips are broken and left out")
        return stored


class Windows:
    """Windows of many clips as one array, [N, T, H, W, 3] u8, read from the cache when indexed."""

    def __init__(self, store: Store, stored: list[Stored]) -> None:
        s = store.sampling
        self.rows = [(store.path(c.key), i) for c in stored for i in range(c.windows)]
        self.shape = (len(self.rows), s.window, s.size, s.size, 3)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: int | slice | tuple) -> np.ndarray:
        first, rest = (key[0], key[1:]) if isinstance(key, tuple) else (key, ())
        if isinstance(first, slice):
            chosen = [self[i] for i in range(*first.indices(len(self)))]
            return (np.stack(chosen) if chosen else np.empty((0, *self.shape[1:]), np.uint8))[(slice(None), *rest)]
        path, row = self.rows[first]
        return np.load(path, mmap_mode="r")[row][rest]
