"""Labelled clips from `e4 clips`, decoded once and kept as a memory-mapped array of u8 RGB.

Pixels are those the engine computes: chroma raised bilinearly (centre aligned), BT.601 limited
range, rounded to u8.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from .config import Split

E4_DEFAULT = ["cargo", "run", "--release", "--quiet", "--"]


class ClipError(Exception):
    """One sentence naming the file that cannot be used."""


@dataclass
class ClipSet:
    """N clips of T frames."""

    frames: np.ndarray
    """[N, T, H, W, 3] u8 RGB, usually a memory map."""
    labels: np.ndarray
    """Class per clip, [N] i64; for streams per frame, [N, T]."""
    names: list[str]
    """Class names."""
    difficulty: np.ndarray | None = None
    """[N] f32 in 0..1."""
    cuts: np.ndarray | None = None
    """Streams: a new scene starts at this frame, [N, T] bool."""
    changes: np.ndarray | None = None
    """Streams: a new action starts at this frame, [N, T] bool."""
    weights: np.ndarray | None = None
    """How often training draws each clip, [N], sums to 1; None draws every clip equally often."""

    def __len__(self) -> int:
        return len(self.frames)


def generated(split: Split, size: int, e4: list[str], folder: Path, names: list[str] | None = None) -> ClipSet:
    """The clips of `split`, made and decoded on the first call, read from `folder` afterwards."""
    wanted = {"size": size, **{key: value for key, value in asdict(split).items() if value is not None}}
    done = folder / "split.json"
    if not done.exists() or json.loads(done.read_text()) != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _generate(split, size, e4, folder / "clips")
        _cache(folder / "clips", folder, split.stream)
        shutil.rmtree(folder / "clips")
        done.write_text(json.dumps(wanted))
    return _load(folder, names)


def _generate(split: Split, size: int, e4: list[str], out: Path) -> None:
    length = ["--stream-frames", str(split.frames)] if split.stream else ["--frames", str(split.frames)]
    fixed = ["--seed", str(split.seed), "--count", str(split.count), "--out", str(out)]
    if split.difficulty is not None:
        fixed += ["--difficulty", f"{split.difficulty:g}"]
    command = [*e4, "clips", *fixed, "--size", str(size), "--fps", f"{split.fps:g}", *length]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise ClipError(f"`{' '.join(command)}` ended with code {done.returncode}: {done.stderr.strip()}")


def _cache(clips: Path, folder: Path, streams: bool) -> None:
    rows = read_csv(clips / "labels.csv")
    first = read_y4m(clips / rows[0]["file"])
    frames = np.lib.format.open_memmap(folder / "frames.npy", "w+", np.uint8, (len(rows), *first.shape))
    per_frame = []
    for i, row in enumerate(rows):
        clip = read_y4m(clips / row["file"])
        if clip.shape != first.shape:
            raise ClipError(f"{row['file']} has shape {clip.shape}, the others {first.shape}")
        frames[i] = clip
        if streams:
            per_frame.append(read_csv((clips / row["file"]).with_suffix(".frames.csv")))
    frames.flush()
    (folder / "labels.json").write_text(json.dumps({"clips": rows, "frames": per_frame}))


def _load(folder: Path, names: list[str] | None) -> ClipSet:
    data = json.loads((folder / "labels.json").read_text())
    rows, per_frame = data["clips"], data["frames"]
    frames = np.load(folder / "frames.npy", mmap_mode="r")
    classes = {f["class"] for clip in per_frame for f in clip} if per_frame else {r["class"] for r in rows}
    names = names or sorted(classes)
    if not classes <= set(names):
        raise ClipError(f"{folder}: unknown classes {sorted(classes - set(names))}")
    difficulty = np.array([float(r["difficulty"]) for r in rows], np.float32)
    if not per_frame:
        return ClipSet(frames, np.array([names.index(r["class"]) for r in rows]), names, difficulty)
    column = lambda key, f: np.array([[f(row[key]) for row in clip] for clip in per_frame])  # noqa: E731
    return ClipSet(
        frames,
        column("class", names.index),
        names,
        difficulty,
        cuts=column("cut", lambda x: x not in ("0", "false", "")),
        changes=column("change", lambda x: x not in ("0", "false", "")),
    )


def read_csv(path: Path) -> list[dict[str, str]]:
    """Rows by column name."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def read_y4m(path: Path) -> np.ndarray:
    """A 4:2:0 Y4M file -> [T, H, W, 3] u8 RGB."""
    data = path.read_bytes()
    header, _, body = data.partition(b"\n")
    fields = header.decode("ascii", "replace").split(" ")
    tags = {f[0]: f[1:] for f in fields[1:] if f}
    if fields[0] != "YUV4MPEG2" or tags.get("C", "420") not in ("420", "420jpeg", "420mpeg2", "420paldv"):
        raise ClipError(f"{path} is not an 8-bit 4:2:0 Y4M file")
    width, height = int(tags["W"]), int(tags["H"])
    half_w, half_h = (width + 1) // 2, (height + 1) // 2
    luma, chroma = width * height, half_w * half_h
    planes, at = [], 0
    while at < len(body):
        end = body.find(b"\n", at) + 1
        if not body.startswith(b"FRAME", at) or end + luma + 2 * chroma > len(body) or end == 0:
            raise ClipError(f"{path}: frame {len(planes)} is cut short or has no FRAME line")
        planes.append(np.frombuffer(body, np.uint8, luma + 2 * chroma, end))
        at = end + luma + 2 * chroma
    stacked = torch.from_numpy(np.stack(planes))
    y = stacked[:, :luma].view(-1, 1, height, width)
    uv = stacked[:, luma:].view(-1, 2, half_h, half_w)
    return yuv_to_rgb(y.float(), uv.float())


def yuv_to_rgb(y: torch.Tensor, uv: torch.Tensor) -> np.ndarray:
    """Limited-range BT.601 [T, 1, H, W] and [T, 2, H/2, W/2], f32 in 0..255 -> [T, H, W, 3] u8."""
    uv = F.interpolate(uv, size=y.shape[-2:], mode="bilinear", align_corners=False) - 128.0
    luma, u, v = 1.164383 * (y[:, 0] - 16.0), uv[:, 0], uv[:, 1]
    rgb = torch.stack([luma + 1.596027 * v, luma - 0.391762 * u - 0.812968 * v, luma + 2.017232 * u], -1)
    return rgb.clamp(0.0, 255.0).round().byte().numpy()
