"""Networks evaluated on the same persons, for ``kdkit-pose evaluate``."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from kdkit import ConfigurationError, DataError
from kdkit_pose.cli.loading import LoadedNetwork, check_skeleton, describe_file
from kdkit_pose.cli.masks_needed import masks_of_ones, require_masks
from kdkit_pose.cli.present import truth_of_present
from kdkit_pose.cli.show import tracked
from kdkit_pose.codecs import Codec
from kdkit_pose.data import CocoKeypoints, loader
from kdkit_pose.evaluation import Boxes, Evaluator, KeypointErrors, Metrics, keypoint_errors
from kdkit_pose.skeleton import Skeleton

Results = list[dict[str, Any]]


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation found, and how it was made; ``missing`` pictures are not in ``truth``."""

    loaded: LoadedNetwork
    codec: Codec
    flip: bool
    data: CocoKeypoints
    truth: Mapping[str, Any]
    missing: int
    results: Results
    metrics: Metrics
    errors: KeypointErrors

    @property
    def protocol(self) -> str:
        """How the figures came about, in a line."""
        boxes, flip = self.metrics["boxes"], "on" if self.flip else "off"
        masks = "" if self.data.masks_predicted is None else f", {self.data.masks_predicted}"
        masks += masks_of_ones(self.data)
        missing = f", without {self.missing} pictures that cannot be read" if self.missing else ""
        return f"{boxes} boxes, flip test {flip}, {self.codec}{self.forced}{masks}{missing}"

    @property
    def forced(self) -> str:
        """What the file says of the codec, where the options had their way against it."""
        known = self.loaded.codec
        return "" if known is None or known.same_convention(self.codec) else f" (forced: its file says {known})"

    def details(self) -> dict[str, Any]:
        """All of it in JSON's types, without the results themselves."""
        masks = self.data.masks_predicted
        return {
            "checkpoint": describe_file(self.loaded.report.path),
            "network": self.loaded.network.name,
            "figures": dict(self.metrics),
            "keypoints": [asdict(error) for error in self.errors.keypoints],
            "persons": {"annotated": self.errors.persons, "matched": self.errors.matched},
            "pictures": len(self.data.image_ids),
            "missing pictures": self.missing,
            "flip": self.flip,
            "codec": self.codec.to_metadata(),
            "forced": bool(self.forced),
            "skeleton": self.data.skeleton.name,
            "sigmas": list(self.data.skeleton.sigmas),
            "predicted masks": None if masks is None else masks.to_json(),
            "masks of ones": self.data.own_masks.count(False) if self.data.has_masks else None,
        }


@dataclass(frozen=True)
class Evaluation:
    """What networks are evaluated on, and how."""

    annotations: Path
    images: Path
    skeleton: Skeleton
    boxes: Path | None
    box_threshold: float
    predicted_masks: Path | None
    flip: bool
    batch_size: int
    workers: int
    skip_missing: bool = False

    def check(self, loaded: LoadedNetwork) -> None:
        """Check that a network can be evaluated, before anything that takes long.

        Raises:
            ConfigurationError: It predicts other keypoints, or reads masks that there are not.
        """
        check_skeleton(loaded, self.skeleton, f"'{self.annotations}'")
        if self.boxes is not None and "mask" in loaded.network.inputs and self.predicted_masks is None:
            raise ConfigurationError(
                f"'{loaded.report.path}' reads each person's mask, and detector boxes have none: give "
                "--predicted-masks (kdkit-pose predict-masks makes them), or leave --boxes out"
            )

    def run(self, loaded: LoadedNetwork, codec: Codec) -> Evaluated:
        """Evaluate a network.

        Raises:
            ConfigurationError: As :meth:`check`.
            DataError: The data cannot be used, or pictures with persons are missing and not to be skipped.
        """
        self.check(loaded)
        reads_mask = "mask" in loaded.network.inputs
        data = CocoKeypoints(
            self.annotations,
            self.images,
            codec=codec,
            skeleton=self.skeleton,
            boxes=self.boxes,
            box_threshold=self.box_threshold,
            masks=reads_mask,
            predicted_masks=self.predicted_masks if reads_mask else None,
        )
        require_masks(data, f"'{loaded.report.path}'", "--predicted-masks")
        truth, missing = self._truth(data)
        source: Boxes = "ground truth" if self.boxes is None else "detector"
        batches = loader(data, self.batch_size, workers=self.workers)
        evaluator = Evaluator(
            *(batches, truth, codec),
            skeleton=self.skeleton,
            flip=self.flip,
            boxes=source,
            watch=partial(tracked, description="evaluating"),
        )
        results = evaluator.results(loaded.network.to("cuda" if torch.cuda.is_available() else "cpu"))
        return Evaluated(
            loaded,
            codec,
            self.flip,
            data,
            truth,
            missing,
            results,
            metrics=evaluator.score(results),
            errors=keypoint_errors(truth, results, skeleton=self.skeleton),
        )

    def _truth(self, data: CocoKeypoints) -> tuple[Mapping[str, Any], int]:
        """The ground truth of the pictures that are there, and how many are not."""
        truth, missing = truth_of_present(data)
        if missing and not self.skip_missing:
            names = ", ".join(str(image.get("file_name", image["id"])) for image in missing[:5])
            names += ", ..." if len(missing) > 5 else ""
            raise DataError(
                f"{len(missing)} of the {len(truth['images']) + len(missing)} pictures in '{self.annotations}' "
                f"are missing from '{self.images}' or cannot be read: {names}; their persons would count as "
                "not found: check --images, or give --skip-missing to score the others"
            )
        return truth, len(missing)
