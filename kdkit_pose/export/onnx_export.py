"""A network as an ONNX file that is known to compute the same."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from kdkit.errors import CheckpointError, ConfigurationError, ExportError
from kdkit.files import write_atomically
from kdkit_pose.codecs import Codec
from kdkit_pose.convention import require_convention
from kdkit_pose.export.extra import require_onnx
from kdkit_pose.export.graph import export_graph
from kdkit_pose.export.metadata import usage_metadata
from kdkit_pose.export.parity import Parity, measure_parity
from kdkit_pose.export.shipped import ShippedNetwork, check_heatmaps
from kdkit_pose.models.description import describe
from kdkit_pose.models.network import PoseNetwork
from kdkit_pose.skeleton import COCO, Skeleton

RELATIVE = 10.0
"""How many tolerances of the heatmaps' peak may differ: at a tolerance of 1e-4, a thousandth of the peak."""


@dataclass(frozen=True)
class OnnxReport:
    """What `to_onnx` wrote.

    Args:
        path: The file.
        model: The network's name.
        opset: Version of the ONNX operator set.
        size: Of the file, in bytes.
        inputs: Name and shape of each input.
        output: Name and shape of the output.
        parity: How onnxruntime and PyTorch compare.
        tolerance: The difference that was allowed.
    """

    path: Path
    model: str
    opset: int
    size: int
    inputs: Mapping[str, str]
    output: str
    parity: Parity
    tolerance: float

    def __str__(self) -> str:
        inputs = ", ".join(f"{name} {shape}" for name, shape in self.inputs.items())
        *others, last = self.parity.batches
        batches = f"{', '.join(map(str, others))} and {last}"
        return (
            f"{self.path}: {self.model}, ONNX operator set {self.opset}, {self.size / 1e6:.1f} MB\n"
            f"  {inputs} -> {self.output}\n"
            f"  onnxruntime and PyTorch differ by at most {self.parity.difference:.1e} (allowed:"
            f" {self.tolerance:.0e}), {self.parity.relative:.1e} of the highest value, {self.parity.peak:.2g}"
            f" (allowed: {RELATIVE * self.tolerance:.0e}), on random images in batches of {batches}"
        )


def to_onnx(
    network: PoseNetwork,
    path: str | Path,
    codec: Codec,
    skeleton: Skeleton = COCO,
    *,
    pixels: bool = False,
    opset: int | None = None,
    tolerance: float = 1e-4,
) -> OnnxReport:
    """Write a network to one ONNX file with a free batch size, if onnxruntime gets the same from it.

    The input is `image`, and `mask` for a network that reads one; the output `heatmap` [batch, K, h, w]; what
    else the network returns is left out. How to make the input and to decode the output stands in the file's
    metadata, see `usage_metadata`. The file appears only after the comparison, whole: a failure leaves an
    older one as it was. The network, on whatever device, is not changed.

    Args:
        network: From `kdkit_pose.models`.
        path: The file, by custom `*.onnx`.
        codec: The convention it was trained with; its input size becomes the file's.
        skeleton: Its keypoints.
        pixels: Build the normalisation into the file, whose `image` is then uint8 RGB pixels [batch, H, W, 3]
            instead of float32 [batch, 3, H, W].
        opset: Version of the ONNX operator set; by default PyTorch's choice.
        tolerance: The largest absolute difference of a heatmap value between onnxruntime and PyTorch. As a
            fraction of the highest value, ten times as much is allowed: heatmaps of a network that is hardly
            trained are so low that any file, one of zeros even, would keep an absolute bound.

    Raises:
        ConfigurationError: The extra `onnx` is not installed; codec or skeleton do not fit, or are not what
            the network was trained for; a negative tolerance.
        ExportError: The network uses what ONNX has not, its heatmaps are all 0 or not finite, or onnxruntime
            gets something else from the file.
        CheckpointError: The file cannot be written.
    """
    require_onnx()
    import onnx

    if not tolerance >= 0:
        raise ConfigurationError(f"tolerance is {tolerance}; it must be 0 or more, such as 1e-4")
    require_convention(network, codec, skeleton)
    metadata = describe(network) | usage_metadata(codec, skeleton, pixels=pixels, mask="mask" in network.inputs)
    shipped = ShippedNetwork(network, pixels=pixels)
    example = shipped.draw_inputs(2, codec.input_size, seed=0)
    check_heatmaps(shipped.run(*example), 2, codec, skeleton)
    model = export_graph(shipped, example, opset)
    onnx.helper.set_model_props(model, metadata)
    content = model.SerializeToString()
    parity = measure_parity(shipped, content, codec)
    _require_parity(parity, tolerance, network.name, path)
    try:
        write_atomically(Path(path), lambda file: file.write(content))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written: {error}") from error
    return OnnxReport(
        path=Path(path),
        model=network.name,
        opset=next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")),
        size=len(content),
        inputs=dict(zip(network.inputs, map(_shape, example), strict=True)),
        output=f"heatmap [batch, {skeleton.num_keypoints}, {codec.heatmap_size[1]}, {codec.heatmap_size[0]}]",
        parity=parity,
        tolerance=tolerance,
    )


def _require_parity(parity: Parity, tolerance: float, name: str, path: str | Path) -> None:
    """Require that onnxruntime computes what PyTorch does, and that there is something to compare."""
    if not (math.isfinite(parity.peak) and parity.peak > 0):
        found = "all 0" if parity.peak == 0 else "not finite"
        raise ExportError(
            f"{name}: its heatmaps of random images are {found}, so that nothing shows whether onnxruntime"
            f" computes the same; {path} is not written. Are these the weights of a trained network?"
        )
    # Not "difference > tolerance", which NaN would pass.
    if not (parity.difference <= tolerance and parity.relative <= RELATIVE * tolerance):
        share = "" if parity.difference > tolerance else f", {parity.relative:.1e} of that"
        allowed = tolerance * RELATIVE if share else tolerance
        raise ExportError(
            f"{name}: with heatmaps up to {parity.peak:.2g} onnxruntime and PyTorch differ by"
            f" {parity.difference:.1e}{share}, more than the {allowed:.0e} allowed; {path} is not written. If the"
            " network is random in eval mode, mend that; else allow more, or export to safetensors"
        )


def _shape(value: Tensor) -> str:
    """Return an input's type and shape, its first side free."""
    sides = ", ".join(str(side) for side in value.shape[1:])
    return f"{str(value.dtype).removeprefix('torch.')} [batch, {sides}]"
