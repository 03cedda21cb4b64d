"""Quantises ONNX files to 8 bits: `quantise.py FROM TO`, folders; what `bench/compare --models TO` runs.

Needs onnxruntime. Weights by output channel, ranges of activations from four inputs of noise:
for times, not for accuracy.
"""

import pathlib
import sys

import numpy as np
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static


class Noise:
    def __init__(self, path):
        import onnx

        (port,) = onnx.load(path).graph.input
        self.name, rng = port.name, np.random.default_rng(0)
        shape = [d.dim_value for d in port.type.tensor_type.shape.dim]
        self.inputs = iter([rng.standard_normal(shape, np.float32) for _ in range(4)])

    def get_next(self):
        x = next(self.inputs, None)
        return None if x is None else {self.name: x}


def main(source, target):
    pathlib.Path(target).mkdir(parents=True, exist_ok=True)
    for path in sorted(pathlib.Path(source).glob("*.onnx")):
        quantize_static(
            path,
            pathlib.Path(target) / f"{path.stem}-int8.onnx",
            Noise(path),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


main(*sys.argv[1:])
