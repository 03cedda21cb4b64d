"""Frames of a clip at the recipe's interval, in one pass over the file, one frame in memory at a time.

A frame is taken when its timestamp reaches the next multiple of the interval since the first frame;
frames in between are passed over and none is repeated, as the engine samples a source. PyAV reads
the file; OpenCV does where PyAV is not installed or does not know the container. A file that breaks
off with a decoder error is broken as a whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from . import FootageError
from .resize import yuv_to_square

EARLY = Fraction(1, 50)
"""Share of the interval by which a frame may come early: timestamps are rounded."""
STILLS = ("image2", "_pipe", "tty", "gif", "apng")


class _Unopened(Exception):
    """A reader does not know the file; another may."""


def frames(path: Path, interval: Fraction, size: int, fit: str) -> Iterator[np.ndarray]:
    """Frames of the clip every `interval` seconds, u8 [size, size, 3] RGB; FootageError says why not."""
    reasons = []
    for reader in (_pyav, _opencv):
        try:
            yield from _sampled(reader(path), interval, size, fit)
            return
        except _Unopened as error:
            reasons.append(str(error))
    raise FootageError(f"{path} {reasons[0]}")


def _sampled(source: Iterator, interval: Fraction, size: int, fit: str) -> Iterator[np.ndarray]:
    start, due = None, Fraction(0)
    for timestamp, planes in source:
        start = timestamp if start is None else start
        at = timestamp - start
        if at < due - EARLY * interval:
            continue
        yield yuv_to_square(*planes(), size, fit)
        due = ((at + EARLY * interval) // interval + 1) * interval


def _pyav(path: Path) -> Iterator:
    """(timestamp in seconds, function that gives the Y, U and V planes) of every frame."""
    try:
        import av
    except ImportError as error:
        raise _Unopened("cannot be read without PyAV or OpenCV: pip install 'forge[footage]'") from error
    try:
        container = av.open(str(path))
    except (OSError, ValueError) as error:
        raise _Unopened(f"is no video that can be opened ({_words(error)})") from error
    with container:
        video = container.streams.video
        if not video or any(container.format.name.endswith(s) for s in STILLS):
            raise _Unopened("has no video stream")
        stream = video[0]
        if stream.codec_context is None:
            raise _Unopened("is coded in a way that PyAV cannot decode")
        stream.thread_type = "NONE"
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        count, last = 0, None
        try:
            for frame in container.decode(stream):
                known = frame.pts is not None and frame.time_base
                timestamp = frame.pts * frame.time_base if known else Fraction(count) / rate
                if last is not None and timestamp <= last:
                    timestamp = last + 1 / rate
                last, count = timestamp, count + 1
                yield timestamp, lambda frame=frame: _planes(frame)
        except (OSError, ValueError, EOFError) as error:
            raise FootageError(f"{path} breaks off after {count} frames ({_words(error)})") from error
        if not count:
            raise FootageError(f"{path} holds no frame")


def _words(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _planes(frame) -> list[np.ndarray]:  # noqa: ANN001 (an av.VideoFrame)
    """Limited-range 4:2:0 planes, upright."""
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    frame = frame.reformat(format="yuv420p", dst_color_range="MPEG")
    width, height = frame.width, frame.height
    planes = []
    for plane, (w, h) in zip(frame.planes, ((width, height), *[((width + 1) // 2, (height + 1) // 2)] * 2)):
        samples = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:h, :w]
        planes.append(np.rot90(samples, turns))
    return planes


def _opencv(path: Path) -> Iterator:
    """As `_pyav`."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # what went wrong is told in our own words
    try:
        import cv2
    except ImportError as error:
        raise _Unopened("has a container that PyAV does not read, and OpenCV is not installed") from error
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise _Unopened("is no video that PyAV or OpenCV can open")
        rate = Fraction(capture.get(cv2.CAP_PROP_FPS) or 25).limit_denominator(1001)
        count, last = 0, None
        while True:
            good, image = capture.read()
            if not good:
                break
            told = Fraction(capture.get(cv2.CAP_PROP_POS_MSEC)).limit_denominator(1000) / 1000
            timestamp = told if last is None or told > last else last + 1 / rate
            last, count = timestamp, count + 1
            yield timestamp, lambda image=image: _bgr_planes(cv2, image)
        if not count:
            raise _Unopened("holds no frame that PyAV or OpenCV can decode")
    finally:
        capture.release()


def _bgr_planes(cv2, image: np.ndarray) -> list[np.ndarray]:  # noqa: ANN001 (the module)
    """4:2:0 planes of a BGR image; odd sizes lose their last row or column."""
    height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    if not height or not width:
        raise _Unopened("is less than two pixels wide or high")
    flat = cv2.cvtColor(image[:height, :width], cv2.COLOR_BGR2YUV_I420).reshape(-1)
    luma, chroma = height * width, height * width // 4
    half = (height // 2, width // 2)
    return [
        flat[:luma].reshape(height, width),
        flat[luma : luma + chroma].reshape(half),
        flat[luma + chroma :].reshape(half),
    ]
