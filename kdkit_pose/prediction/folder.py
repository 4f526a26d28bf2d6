"""The folder that predictions are written to: results, drawings and a page of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from kdkit.errors import ConfigurationError, RunFolderError
from kdkit.files import write_atomically
from kdkit_pose.codecs import Codec
from kdkit_pose.data.masks import EncodedMask
from kdkit_pose.evaluation import write_results
from kdkit_pose.prediction.checks import Picture
from kdkit_pose.prediction.heatmap_sheet import draw_heatmaps
from kdkit_pose.prediction.keypoint_sheet import draw_keypoint_heatmaps
from kdkit_pose.prediction.overlay import draw_poses
from kdkit_pose.prediction.page import ShownPicture, render_predictions, thumbnail, to_jpeg
from kdkit_pose.prediction.poses import Poses
from kdkit_pose.prediction.reading import PictureFile
from kdkit_pose.report.skeletons import LEFT, MIDDLE, RIGHT
from kdkit_pose.skeleton import Skeleton
from kdkit_pose.skeleton_names import side

_QUALITY = 93
_KINDS = ("overlays", "heatmaps", "keypoint-heatmaps")
MOST_SHOWN = 200
"""How many pictures the page shows; with more, it would be slow."""


@dataclass(frozen=True)
class Drawing:
    """How predictions are drawn.

    Attributes:
        threshold: The score from which on a keypoint, or a pose, is drawn strongly.
        enlarged: See :func:`kdkit_pose.prediction.draw_poses`.
        heatmaps: Whether to write a sheet of heatmaps for each picture.
        masks: Whether to draw the persons' masks.
        keypoint_heatmaps: Whether to write a sheet for each person, with a heatmap for each keypoint.
    """

    threshold: float = 0.2
    enlarged: int | None = None
    heatmaps: bool = False
    masks: bool = False
    keypoint_heatmaps: bool = False


class PredictionFolder:
    """Writes ``results.json``, ``overlays/``, maybe ``heatmaps/`` and ``keypoint-heatmaps/``, and a page of all.

    The page is ``predictions.html``. Of a prediction that was stopped there is ``unfinished-results.json``. Each
    file appears whole or not at all. Those of an earlier prediction are replaced.

    Args:
        path: The folder; made where it is missing.
        files: All pictures that may come: no two are drawn to the same file.
        skeleton: Of the persons.
        codec: Of the heatmaps.
        drawing: How to draw.

    Raises:
        RunFolderError: The path is a file, or the folder holds a ``results.json`` of something else.
        ConfigurationError: One of the pictures would be overwritten.
    """

    def __init__(
        self, path: Path, files: Sequence[PictureFile], skeleton: Skeleton, codec: Codec, drawing: Drawing
    ) -> None:
        self.path, self._skeleton, self._codec, self._drawing = path, skeleton, codec, drawing
        self.results_path, self.page_path = path / "results.json", path / "predictions.html"
        self.unfinished_path = path / "unfinished-results.json"
        if path.exists() and not path.is_dir():
            raise RunFolderError(f"--out {path} is a file: give a folder")
        if self.results_path.exists() and not self.page_path.exists():
            raise RunFolderError(
                f"{self.results_path} is there already, and not from kdkit-pose predict, which would have written "
                f"{self.page_path.name} beside it: choose another folder"
            )
        self._places = dict(zip((file.name for file in files), drawing_names(files), strict=True))
        self._results: list[dict[str, Any]] = []
        self._shown: list[ShownPicture] = []
        self._count = 0
        self._written: set[Path] = set()
        self._refuse_sources(files)

    def add(
        self,
        file: PictureFile,
        picture: Picture,
        poses: Poses,
        results: Sequence[Mapping[str, Any]],
        masks: Sequence[EncodedMask | None] | None = None,
    ) -> None:
        """Draw and keep what was found in one picture; a mask for each of the poses where they are drawn."""
        place = self._places[file.name]
        drawing = self._drawing
        overlay = draw_poses(
            *(picture, poses, self._skeleton),
            threshold=drawing.threshold,
            masks=masks if drawing.masks else None,
            enlarged=drawing.enlarged,
        )
        links = [("overlay", f"overlays/{place}")]
        self._draw(self.path / "overlays" / place, overlay)
        if drawing.heatmaps and len(poses):
            sheet = draw_heatmaps(picture, poses, self._codec, most=len(poses))
            self._draw(self.path / "heatmaps" / place, sheet)
            links.append(("heatmaps", f"heatmaps/{place}"))
        if drawing.keypoint_heatmaps:
            links += self._draw_keypoints(place, picture, poses)
        self._results.extend(dict(result) for result in results)
        self._count += 1
        if self._count <= MOST_SHOWN:
            summary = _summary(poses, drawing.threshold)
            self._shown.append(ShownPicture(file.name, summary, thumbnail(overlay), links))

    def leftovers(self) -> int:
        """How many drawings are there that this prediction did not make: an earlier one's."""
        drawn = (path for kind in _KINDS for path in (self.path / kind).rglob("*"))
        return sum(path.is_file() and path not in self._written for path in drawn)

    def _draw_keypoints(self, place: str, picture: Picture, poses: Poses) -> list[tuple[str, str]]:
        """Draw a sheet for each person, the surest first, and return what the page links to."""
        links = []
        for number, row in enumerate(np.argsort(-poses.scores, kind="stable"), start=1):
            name = f"keypoint-heatmaps/{place.removesuffix('.jpg')}-{number}.jpg"
            sheet = draw_keypoint_heatmaps(picture, poses, int(row), self._codec, self._skeleton)
            self._draw(self.path / name, sheet)
            links.append((f"keypoints of {poses.scores[row]:.2f}", name))
        return links

    def _draw(self, path: Path, picture: Picture) -> None:
        _write(path, to_jpeg(picture, _QUALITY))
        self._written.add(path)

    def finish(self, title: str, lead: str, notes: Sequence[str]) -> None:
        """Write the results and the page."""
        sides = any(side(name) is not None for name in self._skeleton.keypoints)
        key = [("left", LEFT), ("right", RIGHT)] if sides else []
        key.append(("neither, in the person's colour", MIDDLE))
        if self._count > MOST_SHOWN:
            notes = [f"only the first {MOST_SHOWN} of {self._count} pictures are shown here", *notes]
        page = render_predictions(title, lead, self._shown, notes, key)
        _write(self.page_path, page.encode())
        write_results(self._results, self.results_path)
        self.unfinished_path.unlink(missing_ok=True)

    def keep_unfinished(self) -> None:
        """Write the results of the pictures that were added so far, beside those of an earlier prediction."""
        write_results(self._results, self.unfinished_path)

    def _refuse_sources(self, files: Sequence[PictureFile]) -> None:
        sources = {file.path.resolve() for file in files}
        drawn = [self.path / kind / place for kind in ("overlays", "heatmaps") for place in self._places.values()]
        drawn += sorted((self.path / "keypoint-heatmaps").rglob("*.jpg"))
        for target in drawn:
            if target.resolve() in sources:
                raise ConfigurationError(
                    f"{target} is one of the pictures, and would be overwritten: choose another --out"
                )


def drawing_folders(path: Path) -> tuple[Path, ...]:
    """The folders in ``path`` that pictures are drawn to."""
    return tuple(path / kind for kind in _KINDS)


def drawing_names(files: Sequence[PictureFile]) -> list[str]:
    """For each picture the path of its drawing, ``sub/name.jpg``; no two are alike, even where case is ignored."""
    taken: set[str] = set()
    names = []
    for file in files:
        plain = PurePosixPath(file.name)
        number, name = 2, plain.with_suffix(".jpg")
        if str(name).casefold() in taken:
            name = plain.with_name(f"{plain.name}.jpg")  # of photo.png beside photo.jpg
        while str(name).casefold() in taken:
            name, number = plain.with_name(f"{plain.name}-{number}.jpg"), number + 1
        taken.add(str(name).casefold())
        names.append(str(name))
    return names


def _summary(poses: Poses, threshold: float) -> str:
    if not len(poses):
        return "nobody"
    persons = f"{len(poses)} person{'s' if len(poses) > 1 else ''}"
    weak = int((poses.scores < threshold).sum())
    best = f"best score {poses.scores.max():.2f}"
    return f"{persons}, {best}" + (f", {weak} below {threshold:g}" if weak else "")


def _write(path: Path, content: bytes) -> None:
    write_atomically(path, lambda file: file.write(content))
