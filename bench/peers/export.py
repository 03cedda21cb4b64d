"""Writes MobileNetV2-1.0 and EfficientNet-B0 with random weights to a folder, as
ONNX (opset 17, batch 1), at 224 and at 96 pixels: `export.py FOLDER`.

Needs torch and torchvision. Batch norms get the statistics of real activations, so
that no signal dies out or overflows on the way.
"""

import os
import sys

import torch
from torchvision.models import efficientnet_b0, mobilenet_v2

NETWORKS = {"mobilenetv2-1.0": mobilenet_v2, "efficientnet-b0": efficientnet_b0}


def settle(network):
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
        norm.reset_running_stats()
        torch.nn.init.uniform_(norm.weight, 0.6, 1.4)
        torch.nn.init.normal_(norm.bias, 0.0, 0.3)
    network.train()
    with torch.no_grad():
        for _ in range(2):
            network(torch.randn(8, 3, 224, 224))
    return network.eval()


def main(folder):
    torch.manual_seed(0)
    os.makedirs(folder, exist_ok=True)
    for name, make in NETWORKS.items():
        network = settle(make(weights=None))
        for side in (224, 96):
            path = os.path.join(folder, f"{name}-{side}.onnx")
            torch.onnx.export(
                network,
                (torch.randn(1, 3, side, side),),
                path + ".part",
                opset_version=17,
                input_names=["x"],
                output_names=["pooled"],
                dynamo=False,
            )
            os.replace(path + ".part", path)


main(sys.argv[1])
