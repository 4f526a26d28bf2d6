"""How far onnxruntime's heatmaps are from PyTorch's, for every network: the check that `kdkit-pose export` makes.

Weights are random. Since differences go with the size of the heatmaps, BatchNorm's statistics are first taken from
random images and the heads scaled until the heatmaps are 1 high, as a trained network's are.

    python benchmarks/onnx_parity.py [--input-size 256x192] [NAME ...]
"""

import argparse
import tempfile
from pathlib import Path

import torch

from kdkit import ExportError
from kdkit_pose import models
from kdkit_pose.codecs import DARK
from kdkit_pose.export import OnnxReport, to_onnx
from kdkit_pose.models import PoseNetwork

TOLERANCE = 1e-4


def as_if_trained(network: PoseNetwork, size: tuple[int, int]) -> PoseNetwork:
    """Give the network statistics of its activations, and heatmaps that are 1 high."""
    width, height = size
    image = torch.randn(4, 3, height, width, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for _ in range(3):
            network.train()(image)
        peak = network.eval()(image).abs().max()
        for parameter in last_convolution(network).parameters():
            parameter /= peak
    return network


def last_convolution(network: PoseNetwork) -> torch.nn.Module:
    """Return the convolution to heatmaps, which is the last module."""
    found = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
    return next(module for module in reversed(found) if module.out_channels == network.num_keypoints)


def measure(name: str, size: tuple[int, int]) -> OnnxReport:
    """Export a network to a file that is thrown away."""
    torch.manual_seed(0)
    network = as_if_trained(models.create(name), size)
    with tempfile.TemporaryDirectory() as folder:
        return to_onnx(network, Path(folder) / "network.onnx", DARK(input_size=size), tolerance=TOLERANCE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(models.names()), metavar="NAME")
    parser.add_argument("--input-size", default="256x192", help="height x width in pixels")
    options = parser.parse_args()
    height, width = map(int, options.input_size.split("x"))
    print(f"{'network':38} {'difference':>10} {'heatmaps':>9} {'MB':>7}", flush=True)
    for name in options.names:
        try:
            report = measure(name, (width, height))
        except ExportError as error:
            print(f"{name:38} {error}", flush=True)
            continue
        parity = report.parity
        print(
            f"{name:38} {parity.difference:10.1e} {parity.peak:9.2f} {report.size / 1e6:7.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
