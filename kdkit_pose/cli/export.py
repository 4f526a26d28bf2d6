"""``kdkit-pose export``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kdkit import ConfigurationError
from kdkit_pose import codecs
from kdkit_pose.cli.codec_choice import ChosenCodec, choose_codec
from kdkit_pose.cli.datasets import skeleton_of
from kdkit_pose.cli.given import refuse
from kdkit_pose.cli.loading import LoadedNetwork, check_codec, check_skeleton, load_network
from kdkit_pose.cli.options import CodecName, InputSize, Sigma, SigmasOption
from kdkit_pose.cli.outputs import check_outputs, show_written
from kdkit_pose.codecs import Decoder
from kdkit_pose.export import to_onnx, to_safetensors
from kdkit_pose.export.extra import require_onnx
from kdkit_pose.skeleton import COCO, Skeleton


class Format(StrEnum):
    """What is written."""

    safetensors = "safetensors"
    onnx = "onnx"


def export(
    context: typer.Context,
    checkpoint: Annotated[Path, typer.Option(help="The network's file: kdkit's, an official one, mmpose's ...")],
    format: Annotated[Format, typer.Option(help="kdkit's own file, or one for other programs.")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
    model: Annotated[str | None, typer.Option(help="The network, where the file does not say it.")] = None,
    mask_fusion: Annotated[
        str, typer.Option(help="How the mask enters, where the file does not say it.")
    ] = "none",
    codec: CodecName = None,
    input_size: InputSize = None,
    sigma: Sigma = None,
    decoder: Annotated[str | None, typer.Option(help="How to decode: peak or centroid.")] = None,
    skeleton: Annotated[
        str | None,
        typer.Option(
            help="The keypoints, where the file does not say them: coco, crowdpose, or a JSON file whose "
            "categories list them; coco for 17 by default."
        ),
    ] = None,
    sigmas: SigmasOption = None,
    pixels: Annotated[
        bool, typer.Option("--pixels", help="ONNX: read uint8 RGB [batch, H, W, 3]; the file normalises them.")
    ] = False,
    opset: Annotated[int | None, typer.Option(min=1, help="ONNX: version of the operator set.")] = None,
    tolerance: Annotated[
        float,
        typer.Option(
            min=0, help="ONNX: largest difference from PyTorch's heatmaps, and 10x of it as a share of their peak."
        ),
    ] = 1e-4,
) -> None:
    """Write a network as ONNX or safetensors, compared with PyTorch's before it is kept.

    Both files say in their metadata how the input is made and the heatmaps are decoded. An official or
    mmpose checkpoint becomes a file that needs no further options: name the codec it was trained with.

    \b
    Example:
      kdkit-pose export --checkpoint runs/odkd/student.safetensors \\
        --format onnx --out student.onnx
      kdkit-pose export --checkpoint pose_hrnet_w32_256x192.pth --codec msra \\
        --format safetensors --out w32.safetensors
    """
    if format is Format.onnx:
        require_onnx()
    else:
        refuse(context, ["pixels", "opset", "tolerance"], "it is for --format onnx; leave it out")
    check_outputs(
        {"--out": out}, {"--checkpoint": checkpoint, "--skeleton": skeleton, "--sigmas": sigmas}, networks=True
    )
    loaded = load_network(checkpoint, model, mask_fusion, "--model")
    chosen: Decoder | None = decoder  # type: ignore[assignment]  # checked by the codec
    choice = _codec(loaded, codec, input_size, sigma, chosen)
    scheme = choice.codec
    keypoints = _skeleton(loaded, skeleton, sigmas)
    console = Console(highlight=False, soft_wrap=True)
    console.print(str(loaded.report), markup=False)
    if loaded.codec is None:
        console.print(f"  {scheme}: its file names no codec; {choice.how}", markup=False)
    with Console(stderr=True).status(f"exporting {loaded.network.name} to {format}; large networks take a minute"):
        if format is Format.onnx:
            report = str(
                to_onnx(loaded.network, out, scheme, keypoints, pixels=pixels, opset=opset, tolerance=tolerance)
            )
        else:
            report = str(to_safetensors(loaded.network, out, scheme, keypoints))
    console.print(report, markup=False)
    show_written(out)


def _codec(
    loaded: LoadedNetwork, name: str | None, input_size: str | None, sigma: float | None, decoder: Decoder | None
) -> ChosenCodec:
    """Return the checkpoint's codec, or the one that options name; a guess would be written down for ever."""
    if loaded.codec is None and name is None:
        raise ConfigurationError(
            f"'{loaded.report.path}' does not say which codec it was trained with, and the file to write must:"
            f" give --codec, one of {', '.join(codecs.names())}; the official HRNet files' is msra"
        )
    scheme = choose_codec(loaded, name, input_size, sigma, decoder)
    check_codec(scheme.codec, loaded.codec, loaded.report.path)
    return scheme


def _skeleton(loaded: LoadedNetwork, option: str | None, sigmas: str | None) -> Skeleton:
    """Return the skeleton that options describe, or else the checkpoint's, or else COCO's for 17 keypoints."""
    path, count = loaded.report.path, loaded.network.num_keypoints
    if option is not None:
        skeleton = skeleton_of(path, option, sigmas)
        check_skeleton(loaded, skeleton, f"--skeleton '{option}'")
        return skeleton
    if sigmas is not None:
        raise ConfigurationError("--sigmas goes with --skeleton, which names the keypoints; give both, or neither")
    if loaded.skeleton is not None:
        return loaded.skeleton
    if count != COCO.num_keypoints:
        raise ConfigurationError(
            f"'{path}' predicts {count} keypoints and does not say which: give --skeleton, crowdpose or a"
            " COCO-format file whose categories list them"
        )
    check_skeleton(loaded, COCO, "the skeleton assumed without --skeleton")
    return COCO
