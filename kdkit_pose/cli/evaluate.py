"""``kdkit-pose evaluate``."""

from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from kdkit import ConfigurationError
from kdkit_pose.cli.loading import load_network
from kdkit_pose.cli.options import CodecName, InputSize, Json, Sigma, Workers, build_codec
from kdkit_pose.cli.show import Tracked, describe_data, metrics_table, write_json
from kdkit_pose.codecs import Decoder
from kdkit_pose.data import CocoKeypoints, loader
from kdkit_pose.evaluation import Evaluator, write_results
from kdkit_pose.evaluation.metrics import Boxes


def evaluate(
    checkpoint: Annotated[Path, typer.Option(help="The network's file.")],
    annotations: Annotated[Path, typer.Option(help="COCO keypoint annotations: the ground truth.")],
    images: Annotated[Path, typer.Option(help="Folder of the pictures.")],
    model: Annotated[str | None, typer.Option(help="The network, where the file does not say it.")] = None,
    mask_fusion: Annotated[str, typer.Option(help="With --model: how the mask enters.")] = "none",
    boxes: Annotated[
        Path | None, typer.Option(help="A detector's boxes in COCO's result format, instead of ground truth's.")
    ] = None,
    codec: CodecName = None,
    input_size: InputSize = None,
    sigma: Sigma = None,
    decoder: Annotated[str | None, typer.Option(help="How to decode: peak or centroid.")] = None,
    flip: Annotated[bool, typer.Option(help="Average with the mirrored input's heatmaps.")] = True,
    batch_size: Annotated[int, typer.Option(min=1, help="Persons at a time.")] = 64,
    workers: Workers = 0,
    results: Annotated[Path | None, typer.Option(help="Also write the keypoints found, in COCO's format.")] = None,
    json: Json = None,
) -> None:
    """Evaluate a network as COCO does.

    Flip test, decoding, rescoring, OKS-NMS, AP; with the ground truth's boxes, or with a detector's by --boxes.

    \b
    Example:
      kdkit-pose evaluate --checkpoint runs/odkd/student.safetensors \\
        --annotations person_keypoints_val2017.json --images val2017
    """
    network, known = load_network(checkpoint, model, mask_fusion, "--model")
    chosen: Decoder | None = decoder  # type: ignore[assignment]  # checked by the codec
    scheme = build_codec(codec, input_size, sigma, known=known, decoder=chosen)
    if boxes is not None and "mask" in network.inputs:
        raise ConfigurationError(
            f"'{checkpoint}' reads each person's mask, and detector boxes have none: evaluate it without --boxes"
        )
    data = CocoKeypoints(annotations, images, codec=scheme, boxes=boxes, masks="mask" in network.inputs)
    source: Boxes = "ground truth" if boxes is None else "detector"
    batches = Tracked(loader(data, batch_size, workers=workers), "evaluating")
    evaluator = Evaluator(batches, annotations, scheme, flip=flip, boxes=source)
    found = evaluator.results(network.to("cuda" if torch.cuda.is_available() else "cpu"))
    metrics = evaluator.score(found)
    console = Console()
    console.print(describe_data(data), highlight=False, soft_wrap=True)
    console.print(metrics_table({str(network.name): metrics}, "network"))
    console.print(
        f"{source} boxes, flip test {'on' if flip else 'off'}, {scheme}", highlight=False, soft_wrap=True
    )
    if results is not None:
        write_results(found, results)
    write_json(metrics, json)
