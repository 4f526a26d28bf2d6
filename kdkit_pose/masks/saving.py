"""A mask predictor's file: safetensors with its description, and what it was measured at, in the header."""

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kdkit.errors import CheckpointError, ConfigurationError
from kdkit.files import write_atomically
from kdkit.training.export import to_safetensors
from kdkit_pose.data.mask_source import MaskSource
from kdkit_pose.data.masks import EncodedMask
from kdkit_pose.masks.in_boxes import masks_in_boxes
from kdkit_pose.masks.predictor import MaskPredictor
from kdkit_pose.masks.scores import MaskScores
from kdkit_pose.models.checkpoint_files import open_checkpoint
from kdkit_pose.models.claimed_size import require_as_large


@dataclass(frozen=True)
class LoadedPredictor:
    """A mask predictor from a file.

    Attributes:
        predictor: The network, in eval mode.
        source: What reports say of it.
    """

    predictor: MaskPredictor
    source: MaskSource

    def predict(
        self, picture: npt.NDArray[np.uint8], boxes: npt.NDArray[np.float64], *, batch_size: int = 64
    ) -> list[EncodedMask | None]:
        """The masks of the persons in a picture, as `predict_masks` finds those of a data set.

        Args:
            picture: RGB uint8 [H, W, 3].
            boxes: [N, 4], left, top, width and height in pixels of the picture; none empty.
            batch_size: Persons at a time.

        Returns:
            For each box its mask, None where the predictor finds nobody.
        """
        return masks_in_boxes(self.predictor, picture, boxes, batch_size=batch_size)


def describe(predictor: MaskPredictor) -> dict[str, str]:
    """The header's entries from which `load` builds the predictor again."""
    width, height = predictor.input_size
    return {
        "mask_predictor": predictor.architecture,
        "encoder": predictor.encoder,
        "input_size": f"{width}x{height}",
        "threshold": repr(predictor.threshold),
    }


def save(predictor: MaskPredictor, path: str | Path, scores: MaskScores) -> None:
    """Write a predictor, with how well it does, to a safetensors file that appears whole or not at all.

    Raises:
        CheckpointError: The file cannot be written.
    """
    measured = {
        "iou": repr(scores.iou),
        "iou_of_ones": repr(scores.ones),
        "iou_of_box": repr(scores.box),
        "iou_persons": str(scores.persons),
    }
    content = to_safetensors(predictor.state_dict(), {"format": "pt", **describe(predictor), **measured})
    try:
        write_atomically(Path(path), lambda file: file.write(content))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written: {error}") from error


def load(path: str | Path) -> LoadedPredictor:
    """Rebuild the predictor that `save` wrote.

    Raises:
        CheckpointError: The file cannot be read, holds no mask predictor, or one that was never measured.
    """
    path = Path(path)
    file = open_checkpoint(path)
    header = file.metadata
    if "mask_predictor" not in header:
        found = f"a pose network ({header['model']}) and " if "model" in header else ""
        raise CheckpointError(
            f"{path} holds {found}no mask predictor: kdkit-pose train-masks makes one, as student.safetensors in "
            "its run's folder"
        )
    if "iou" not in header:
        raise CheckpointError(
            f"{path} does not say how good its masks are: its training has not come to its end; go on with it by "
            "the same kdkit-pose train-masks command"
        )
    try:
        width, height = (int(side) for side in header["input_size"].split("x"))
        build = partial(
            MaskPredictor, header["mask_predictor"], header["encoder"], (width, height), float(header["threshold"])
        )
        require_as_large(path, build, file.content.values())
        predictor = build()
        iou, persons = float(header["iou"]), int(header["iou_persons"])
        box = float(header["iou_of_box"]) if "iou_of_box" in header else None
        predictor.load_state_dict(file.content)
    except (KeyError, ValueError, RuntimeError, ConfigurationError) as error:
        reason = str(error).partition("\n")[0]
        raise CheckpointError(f"{path} describes a mask predictor that cannot be built: {reason}") from error
    with path.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    # Every run's file is called alike: its folder's name tells them apart.
    name = "/".join(path.resolve().parts[-2:])
    source = MaskSource(
        *(name, sha256, predictor.title, predictor.input_size, predictor.threshold),
        iou=iou,
        persons=persons,
        box=box,
    )
    return LoadedPredictor(predictor.eval(), source)
