"""The engine's resize, in numpy: a separable triangle filter, antialiased and centre-aligned.

Output sample i of an axis sits at `offset + (i + 0.5) * scale - 0.5` of the input; the triangle
reaches `max(1, scale)` to either side, takes only samples that overlap the source rectangle and sums
to one. Y, U and V are resized on their own grids, then converted; rounding to u8 is ours alone.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

FITS = ("crop", "stretch")


def region(width: int, height: int, fit: str) -> tuple[float, float, float, float]:
    """(x, y, width, height) of what becomes the square input: the centred square, or the whole frame."""
    if fit == "stretch":
        return 0.0, 0.0, float(width), float(height)
    side = min(width, height)
    return (width - side) / 2, (height - side) / 2, float(side), float(side)


@lru_cache(maxsize=64)
def weights(samples: int, offset: float, length: float, size: int) -> tuple[int, np.ndarray]:
    """(first sample used, weights f32 [size, samples used]) of one axis."""
    scale = length / size
    centres = offset + (np.arange(size) + 0.5) * scale - 0.5
    reach = max(1.0, scale)
    first = min(int(offset + 1e-6), samples - 1)
    end = min(max(int(offset + length - 1e-6) + 1, first + 1), samples)
    out = np.maximum(0.0, 1.0 - np.abs(np.arange(first, end)[None] - np.clip(centres, first, end - 1)[:, None]) / reach)
    return first, np.ascontiguousarray((out / out.sum(1, keepdims=True)).astype(np.float32))


def plane(samples: np.ndarray, box: tuple[float, float, float, float], size: int) -> np.ndarray:
    """`box` of a plane u8 [h, w] -> f32 [size, size]."""
    x, y, width, height = box
    top, rows = weights(samples.shape[0], y, height, size)
    left, columns = weights(samples.shape[1], x, width, size)
    used = samples[top : top + rows.shape[1], left : left + columns.shape[1]]
    return rows @ used.astype(np.float32) @ columns.T


def yuv_to_square(y: np.ndarray, u: np.ndarray, v: np.ndarray, size: int, fit: str) -> np.ndarray:
    """A 4:2:0 frame (limited-range BT.601) -> u8 [size, size, 3] RGB."""
    box = region(y.shape[1], y.shape[0], fit)
    half = tuple(x / 2 for x in box)
    luma = 1.164383 * (plane(y, box, size) - 16.0)
    u, v = plane(u, half, size) - 128.0, plane(v, half, size) - 128.0
    rgb = np.stack([luma + 1.596027 * v, luma - 0.391762 * u - 0.812968 * v, luma + 2.017232 * u], -1)
    return np.rint(np.clip(rgb, 0.0, 255.0)).astype(np.uint8)
