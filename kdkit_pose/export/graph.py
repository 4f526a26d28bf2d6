"""From a network to an ONNX graph with a free batch size."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from kdkit.errors import ExportError
from kdkit_pose.export.failures import tracing_error, translation_error
from kdkit_pose.export.shipped import ShippedNetwork
from kdkit_pose.models.network import PoseNetwork

if TYPE_CHECKING:
    from onnx import ModelProto


def export_graph(network: ShippedNetwork, example: tuple[Tensor, ...], opset: int | None) -> "ModelProto":
    """Return the network's ONNX model, BatchNorm folded into the convolutions.

    Args:
        network: In eval mode.
        example: Inputs of a batch of at least 2, since 1 could be mistaken for a fixed size.
        opset: Version of the ONNX operator set; None leaves it to PyTorch.

    Raises:
        ExportError: The network cannot be traced, uses an operator that ONNX has not, or the operator set
            cannot be had.
    """
    inner = network.network
    with torch.no_grad(), _quiet():
        batch = Dim("batch", min=1)
        free = tuple({0: batch} for _ in example)
        try:
            program = torch.export.export(network, example, dynamic_shapes=free, strict=False)
        # Tracing runs any code, and its errors have no base of their own.
        except Exception as error:
            raise tracing_error(inner.name, error) from error
        model = _translate(program, inner, free, opset)
    found = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if opset is not None and found != opset:
        import onnx

        raise ExportError(
            f"{inner.name} cannot be written with ONNX operator set {opset}, PyTorch wrote {found} instead: leave"
            f" the operator set open, or take one from 18 on that PyTorch knows; onnx {onnx.__version__} knows"
            f" them to {onnx.defs.onnx_opset_version()}"
        )
    _drop_traces(model)
    return model


def _translate(
    program: ExportedProgram, network: PoseNetwork, free: tuple[dict[int, Dim], ...], opset: int | None
) -> "ModelProto":
    try:
        exported = torch.onnx.export(
            program,
            dynamo=True,
            verbose=False,
            input_names=list(network.inputs),
            output_names=["heatmap"],
            dynamic_shapes=free,  # already in the program, but here they get their name
            opset_version=opset,
        )
    except torch.onnx.OnnxExporterError as error:
        raise translation_error(network.name, program, error) from error
    assert exported is not None  # as always with dynamo=True and no file
    return exported.model_proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress, logs and pages of graphs off the terminal; its errors are raised."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _drop_traces(model: "ModelProto") -> None:
    """Remove the stack traces that PyTorch writes beside every node: paths of this machine, to be shipped."""
    graph = model.graph
    for item in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del item.metadata_props[:]
        item.doc_string = ""
    for function in model.functions:
        for item in (function, *function.node):
            del item.metadata_props[:]
            item.doc_string = ""
