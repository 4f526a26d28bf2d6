"""Whether an ONNX model computes what the network computes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from kdkit.errors import ExportError
from kdkit_pose.codecs import Codec
from kdkit_pose.export.shipped import ShippedNetwork

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

BATCHES = (1, 2, 5)
"""Batch sizes that are compared; the graph is made with 2, so that 1 and 5 show that the size is free."""


@dataclass(frozen=True)
class Parity:
    """How two runs of the same inputs compare.

    Args:
        difference: The largest absolute difference between two heatmap values.
        peak: The largest absolute heatmap value, to judge the difference by.
        batches: The batch sizes that were run.
    """

    difference: float
    peak: float
    batches: tuple[int, ...] = BATCHES

    @property
    def relative(self) -> float:
        """The difference as a fraction of the peak; NaN where there is nothing to compare."""
        return self.difference / self.peak if self.peak > 0 else float("nan")


def open_session(content: bytes) -> "InferenceSession":
    """Return what runs an ONNX file's bytes on the CPU, with as many threads as PyTorch uses.

    Raises:
        ExportError: onnxruntime refuses the model.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors only
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    # onnxruntime's exceptions have no base but this.
    except Exception as error:
        raise ExportError(
            f"onnxruntime {onnxruntime.__version__} cannot run the exported model: {error}"
        ) from error


def measure_parity(network: ShippedNetwork, content: bytes, codec: Codec) -> Parity:
    """Run network and file side by side on random inputs of several batch sizes.

    Args:
        network: The PyTorch side.
        content: The ONNX file's bytes.
        codec: Tells the size of the inputs.

    Raises:
        ExportError: onnxruntime cannot run the model, or gives heatmaps of another shape.
    """
    session = open_session(content)
    names = [entry.name for entry in session.get_inputs()]
    differences, peaks = [], []
    for batch in BATCHES:
        inputs = network.draw_inputs(batch, codec.input_size, seed=batch)
        expected = network.run(*inputs).numpy()
        feed = dict(zip(names, (value.numpy() for value in inputs), strict=True))
        try:
            (found,) = session.run(["heatmap"], feed)
        except Exception as error:
            raise ExportError(f"onnxruntime cannot run the exported model with {batch} images: {error}") from error
        if found.shape != expected.shape:
            raise ExportError(
                f"for {batch} images the exported model gives heatmaps {list(found.shape)}, the network"
                f" {list(expected.shape)}"
            )
        differences.append(np.abs(found - expected).max())
        peaks.append(np.abs(expected).max())
    return Parity(float(np.max(differences)), float(np.max(peaks)))
