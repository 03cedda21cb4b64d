"""The 8-bit variant of a finished run: segments quantised after training, thresholds picked again.

Weights are signed bytes with one scale for each output channel, activations unsigned bytes with
one scale for each map, its range that of frames of the calibration split. What joins the segments
and what the heads read stays in floats. Trunk and heads are those of the run; only their
thresholds differ.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor

from .clips import ClipSet
from .export import Network, normalise
from .features import adapter_outputs
from .gates import Point
from .heads import Heads
from .pipeline import Run
from .segments import Sessions, segment_models
from .trunk import Trunk

FRAMES = 256
"""Frames of the calibration split whose activations set the ranges, spread evenly over it."""
SEED = 17
"""Of the choice of a frame within its clip."""
SUFFIX = "-int8"
TEST_CLIPS = 1000
"""At most so many generated test clips are measured."""
UNMEASURED = ("test_streams", "test_slow")
"""Splits of streams and of other paces: left to the card of the network in floats."""


def calibration_images(clips: ClipSet, count: int = FRAMES) -> np.ndarray:
    """`count` normalised frames, one a clip, of clips spread evenly, [count, 3, H, W]."""
    rng = np.random.default_rng(SEED)
    rows = np.linspace(0, len(clips) - 1, min(count, len(clips))).round().astype(int)
    frames = [clips.frames[i, rng.integers(clips.frames.shape[1])] for i in rows]
    return normalise(torch.from_numpy(np.stack(frames))).numpy()


def quantised_models(trunk: Trunk, images: np.ndarray) -> list[onnx.ModelProto]:
    """The segments of a folded trunk in 8 bits, batch 1; `images` as `calibration_images` gives them."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    logging.getLogger().setLevel(logging.ERROR)
    models, x = [], images
    with tempfile.TemporaryDirectory() as name:
        plain, out = Path(name) / "plain.onnx", Path(name) / "int8.onnx"
        for model in segment_models(trunk):
            onnx.save(model, plain)
            quantize_static(
                plain,
                out,
                _Reader(x),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv", "Add", "Clip"],
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
            quantised = onnx.load(out)
            _drop_unread(quantised)
            onnx.checker.check_model(quantised, full_check=True)
            models.append(quantised)
            x = _outputs(model, x)
    return models


class _Reader:
    """Inputs one at a time, as ONNX Runtime's calibration wants them."""

    def __init__(self, x: np.ndarray) -> None:
        self.inputs = iter(x)

    def get_next(self) -> dict[str, np.ndarray] | None:
        value = next(self.inputs, None)
        return None if value is None else {"x": value[None]}


def _drop_unread(model: onnx.ModelProto) -> None:
    graph = model.graph
    read = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(kept)


def _outputs(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """The feature maps that the next segment reads; empty behind the last."""
    if not any(o.name == "y" for o in model.graph.output):
        return x[:0]
    session = Sessions([model.SerializeToString()]).sessions[0]
    return np.concatenate([session.run(["y"], {"x": image[None]})[0] for image in x])


def batched(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph for batches of any size."""
    free = onnx.ModelProto()
    free.CopyFrom(model)
    for value in (*free.graph.input, *free.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    return free


class QuantisedRun(Run):
    """The stages `choose`, `evaluate` and `export` on the 8-bit segments of a run; files in its folder's `int8/`."""

    def __init__(self, base: Run) -> None:
        recipe = replace(base.recipe, name=base.recipe.name + SUFFIX, golden_clips=1)
        super().__init__(recipe, base.folder / "int8", base.e4)
        self.base = base
        self.folder.mkdir(parents=True, exist_ok=True)

    def clips(self, name: str) -> ClipSet:
        clips = self.base.clips(name)
        if name != "test" or type(clips) is not ClipSet or len(clips) <= TEST_CLIPS:
            return clips
        head = slice(TEST_CLIPS)
        difficulty = None if clips.difficulty is None else clips.difficulty[head]
        return replace(clips, frames=clips.frames[head], labels=clips.labels[head], difficulty=difficulty)

    def has(self, split: str) -> bool:
        return split not in UNMEASURED and self.base.has(split)

    def final(self) -> tuple[Trunk, Heads]:
        return self.base.final()

    def pick(self, points: list[Point], target: float, frame_target: float) -> Point:
        return self.base.pick(points, target, frame_target)

    def provenance(self) -> str:
        return (
            f"{self.base.provenance()} The network is {self.base.recipe.name}'s, its segments quantised to 8 bits\n"
            f"after training: ranges from {FRAMES} frames of the calibration split, thresholds picked anew. Endless streams,\n"
            f"other frame intervals and lost frames were measured in floats alone: see that network's card."
        )

    @cached_property
    def models(self) -> list[onnx.ModelProto]:
        """The segments in 8 bits."""
        images = calibration_images(self.clips("calibration"))
        print(f"int8: ranges from {len(images)} frames", file=sys.stderr, flush=True)
        return quantised_models(self.final()[0], images)

    def features(self, trunk: Trunk, heads: Heads, split: str) -> Tensor:
        models = [batched(model).SerializeToString(deterministic=True) for model in self.models]
        return adapter_outputs(trunk, heads, self.clips(split), self.folder / "features" / f"{split}.npy", models)

    def network(self) -> Network:
        return replace(super().network(), models=self.models)

    def run_all(self, out: Path, command: str, generator: str = "", note: str = "") -> None:
        """Choose, evaluate and export to `out`."""
        self.choose()
        self.evaluate()
        self.export(out, command, generator, note)
