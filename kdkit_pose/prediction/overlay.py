"""The persons found, drawn over their picture."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle

from kdkit.errors import ConfigurationError
from kdkit_pose.data.masks import EncodedMask
from kdkit_pose.prediction.canvas import POINT, PictureCanvas
from kdkit_pose.prediction.checks import Picture
from kdkit_pose.prediction.labels import LabelPlaces
from kdkit_pose.prediction.mask_layer import draw_mask
from kdkit_pose.prediction.poses import Array, Poses
from kdkit_pose.report.skeletons import draw_skeleton
from kdkit_pose.skeleton import Skeleton

# The persons' own colours, none of them near those of the sides.
_PERSONS = ("#ff6ad5", "#7dff6a", "#fff04a", "#b79bff", "#ff5c5c", "#5cffd8", "#d9b38c", "#ffffff")

# What lies over what; each person has a place of its own from these on.
_MASKS, _BOXES, _SKELETONS, _LABELS = 1.0, 1e5, 2e5, 1e6


def draw_poses(
    picture: Picture,
    poses: Poses,
    skeleton: Skeleton,
    *,
    threshold: float = 0.2,
    masks: Sequence[EncodedMask | None] | None = None,
    enlarged: int | None = None,
) -> Picture:
    """The picture with its persons: skeletons, thin boxes and the poses' scores.

    The person's own left side is blue, the right orange, the middle in a colour of the person's own, which box and
    label have too. Lines go with the person's size and the picture's. Keypoints are the fainter, the lower their
    score; one of score 0, whose heatmap has no peak, is not drawn, nor are its limbs. A pose that scores below the
    threshold has neither box nor label, and is not drawn at all if its box does, too.

    Args:
        picture: RGB uint8 [H, W, 3]; left as it is.
        poses: Of the picture.
        skeleton: Of the poses.
        threshold: The score from which on a keypoint, or a pose, is drawn strongly.
        masks: One for each pose, to be drawn as a soft area with an outline.
        enlarged: How many pixels of the drawing a pixel of the picture takes each way; by default 1 for pictures
            of 860 pixels or more on the long side, and for smaller ones what brings them nearest to 1280.

    Returns:
        RGB uint8, ``enlarged`` times the picture's size.

    Raises:
        ConfigurationError: ``enlarged`` is below 1, or the poses have other keypoints than the skeleton.
    """
    if poses.keypoints.shape[1] != skeleton.num_keypoints:
        raise ConfigurationError(
            f"poses of {poses.keypoints.shape[1]} keypoints are none of skeleton {skeleton.name!r}, which has "
            f"{skeleton.num_keypoints}: give their own"
        )
    canvas = PictureCanvas.of(picture, enlarged)
    # The surest person lies uppermost, and is labelled first.
    order = [int(row) for row in np.argsort(poses.scores, kind="stable")]
    order = [row for row in order if max(poses.scores[row], poses.box_scores[row]) >= threshold]
    sure = [row for row in order[::-1] if poses.scores[row] >= threshold]
    colours = person_colours(poses)
    places = LabelPlaces(canvas.size)
    for depth, row in enumerate(order):
        width = _line_width(poses.boxes[row], canvas)
        colour, certain = colours[row], bool(poses.scores[row] >= threshold)
        if masks is not None and (mask := masks[row]) is not None:
            draw_mask(canvas.axes, mask, colour, zorder=_MASKS + depth)
        keypoints = poses.keypoints[row]
        strength = _strength(keypoints[:, 2], threshold) * (1.0 if certain else 0.5)
        draw_skeleton(
            canvas.axes,
            skeleton,
            keypoints[:, :2],
            # A map without a peak says nothing of a place: the decoded one is the crop's corner.
            np.isfinite(keypoints).all(axis=1) & (keypoints[:, 2] > 0),
            strength=strength,
            width=width * POINT * (1.0 if certain else 0.7),
            middle=colour,
            zorder=_SKELETONS + depth,
        )
    for row in sure:
        _draw_box(canvas, poses.boxes[row], colours[row])
        _draw_label(canvas, places, poses.boxes[row], f"{poses.scores[row]:.2f}", colours[row])
    return canvas.finish()


def person_colours(poses: Poses) -> list[str]:
    """Each person's own colour, by rank, unlike those of the sides; the surest's is seen on snow and sky too."""
    ranks = np.argsort(np.argsort(-poses.scores, kind="stable"), kind="stable")
    return [_PERSONS[int(rank) % len(_PERSONS)] for rank in ranks]


def _line_width(box: Array, canvas: PictureCanvas) -> float:
    """A limb's, in pixels of the drawing."""
    person = float(np.sqrt(max(box[2], 0.0) * max(box[3], 0.0))) * canvas.enlarged
    return float(np.clip(0.014 * person, max(1.0, canvas.long_side / 700), max(1.4, canvas.long_side / 150)))


def _strength(scores: Array, threshold: float) -> Array:
    """Opacity by score: hardly there below the threshold, full from twice the threshold on."""
    share = np.nan_to_num(scores) / max(threshold, 1e-9)
    return np.where(share < 1, 0.12 + 0.13 * np.clip(share, 0, 1), 0.6 + 0.4 * np.clip(share - 1, 0, 1))


def _draw_box(canvas: PictureCanvas, box: Array, colour: str) -> None:
    line = max(1.0, canvas.long_side / 900) * POINT
    for rgba, width in ((to_rgba("black", 0.35), 2.2 * line), (to_rgba(colour, 0.8), line)):
        canvas.axes.add_patch(
            Rectangle((box[0], box[1]), box[2], box[3], fill=False, edgecolor=rgba, linewidth=width, zorder=_BOXES)
        )


def _draw_label(canvas: PictureCanvas, places: LabelPlaces, box: Array, text: str, colour: str) -> None:
    # A digit is 0.64 of the font's size wide. A small person's label is small, too, but can still be read.
    digits = 0.64 * len(text) + 0.2
    largest = float(np.clip(canvas.long_side / 64, 10.0, 64.0))
    font = float(np.clip(box[2] * canvas.enlarged / digits, 0.7 * largest, largest))
    extent = (digits * font / canvas.enlarged, 1.25 * font / canvas.enlarged)
    place = places.find(box, extent)
    if place is None:
        return
    canvas.axes.add_patch(Rectangle(place, *extent, facecolor=to_rgba(colour, 0.85), linewidth=0, zorder=_LABELS))
    x, y = place[0] + extent[0] / 2, place[1] + extent[1] / 2
    canvas.axes.text(
        *(x, y, text), fontsize=font * POINT, color="black", ha="center", va="center_baseline", zorder=_LABELS + 1
    )
