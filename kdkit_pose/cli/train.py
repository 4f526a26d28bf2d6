"""``kdkit-pose train``."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from kdkit_pose import models, recipes
from kdkit_pose.cli import options
from kdkit_pose.cli.another_run import options_named
from kdkit_pose.cli.codec_choice import starting_codec
from kdkit_pose.cli.cut_persons import refuse_with_cut
from kdkit_pose.cli.datasets import skeleton_of
from kdkit_pose.cli.dry_run import rehearse
from kdkit_pose.cli.given import refuse, require_with
from kdkit_pose.cli.grouped import grouped
from kdkit_pose.cli.loading import skeleton_in
from kdkit_pose.cli.loss_choice import LossOption, loss_for
from kdkit_pose.cli.new_network import new_network
from kdkit_pose.cli.option_groups import MASK_FILES, NEED_VALIDATION, NO_MASKS, CodecChoice, DataFiles, Fitting
from kdkit_pose.cli.show import show_result
from kdkit_pose.cli.training_data import describe_run, load_data, places
from kdkit_pose.fit import check_run_folder, fit


@grouped
def train(
    context: typer.Context,
    *,
    model: Annotated[str, typer.Option(help=f"The network: {', '.join(models.names())}.")],
    files: DataFiles,
    out: options.Out,
    mask_fusion: Annotated[
        str, typer.Option(help="How the person's mask enters: none, concat, multiply or add.")
    ] = "none",
    checkpoint: Annotated[
        Path | None, typer.Option(help="Weights to start from: kdkit's, official or mmpose's.")
    ] = None,
    pretrained: options.Pretrained = None,
    loss: LossOption = None,
    choice: CodecChoice,
    epochs: options.Epochs = 210,
    fitting: Fitting,
    dry_run: options.DryRun = False,
) -> None:
    """Train a teacher, or a plain student, on ground truth.

    \b
    Example:
      kdkit-pose train --model hrnet_w32 --out runs/w32 \\
        --train-annotations person_keypoints_train2017.json --images train2017 \\
        --val-annotations person_keypoints_val2017.json --val-images val2017
    """
    console = Console(highlight=False, soft_wrap=True)
    require_with(context, ["val_annotations"], NEED_VALIDATION)
    refuse_with_cut(context, files)
    settings = fitting.settings
    body = skeleton_of(files.train_annotations, files.skeleton, files.sigmas, known=skeleton_in(checkpoint))
    learned_by = loss_for(loss, checkpoint)
    console.print(f"learns by: {learned_by.said(checkpoint)}", markup=False)
    network = new_network(
        *(model, body, fitting.seed, console),
        mask_fusion=mask_fusion,
        activation=learned_by.activation,
        checkpoint=checkpoint,
        pretrained=pretrained,
    )
    masks = "mask" in network.inputs
    if not masks:
        refuse(context, MASK_FILES, NO_MASKS)
    chosen = starting_codec(checkpoint, choice.codec, choice.input_size, choice.sigma)
    course = recipes.supervised(
        until=epochs,
        loss=learned_by.function,
        learning_rate=settings.rate(),
        outputs=network.heatmap_outputs,
    )
    codec = replace(chosen.codec, decoder=recipes.decoder_for(course))
    console.print(f"heatmaps: {codec} ({chosen.how})", markup=False)
    config = describe_run(
        *(files, codec, fitting),
        checkpoint=checkpoint,
        pretrained=pretrained,
        further={"epochs": epochs, **learned_by.to_config()},
    )
    with options_named(out, "--model"):
        check_run_folder(out, settings, {**config, "model": models.describe(network)})
        data = load_data(files, chosen.codec, body, fitting, console, masks=masks, reader=model)
        run = (network, course, data.train, out, settings)
        arguments: dict[str, Any] = {
            "evaluator": None if data.evaluator is None else data.evaluator.decoded_by(codec.decoder),
            "codec": codec,
            "config": {**config, **data.config},
        }
        if dry_run:
            rehearse(*run, console, data=data, **arguments)
            return
        result = fit(
            *run, **arguments, notes={"files": places(files, checkpoint=checkpoint, pretrained=pretrained)}
        )
    show_result(result, console)
