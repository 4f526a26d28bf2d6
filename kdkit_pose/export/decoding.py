"""A codec's decoding in numbers and in words, for those who run a network without kdkit."""

from typing import Any, NamedTuple

from kdkit_pose.codecs import DARK, MSRA, UDP, Codec
from kdkit_pose.codecs.centroid import WINDOW, window_kernel
from kdkit_pose.codecs.refine import BORDER_ROUNDS
from kdkit_pose.codecs.smoothing import blur_sigma
from kdkit_pose.export.text import wrap

# The derivatives of the logarithm v at the highest cell; v[x, y] is x columns and y rows from there.
_SLOPES = "slope_x = (v[1, 0] - v[-1, 0]) / 2, slope_y = (v[0, 1] - v[0, -1]) / 2"
_WIDE = (
    "xx = (v[2, 0] - 2 v[0, 0] + v[-2, 0]) / 4, yy = (v[0, 2] - 2 v[0, 0] + v[0, -2]) / 4, "
    "xy = (v[1, 1] + v[-1, -1] - v[-1, 1] - v[1, -1]) / 4"
)
_NEAR = (
    "xx = v[1, 0] - 2 v[0, 0] + v[-1, 0], yy = v[0, 1] - 2 v[0, 0] + v[0, -1], "
    "xy = (v[1, 1] + v[-1, -1] + 2 v[0, 0] - v[1, 0] - v[-1, 0] - v[0, 1] - v[0, -1]) / 2"
)


class _Refinement(NamedTuple):
    """A Newton step on the logarithm of a blurred map: the blur's width, where it starts, its derivatives, and
    the standard deviation of the peak that is sought, in cells."""

    kernel: int
    start: str
    curvatures: str
    sigma: float


def decoding_numbers(codec: Codec) -> dict[str, Any]:
    """Return what a decoder must know, as JSON takes it.

    Sizes are (width, height): `heatmap_size` in cells, `cell_size` in pixels of the input; `sigma` of the
    targets, `blur_kernel` and `blur_sigma` of the smoothing before the decoding, `border_sigma` of the peak whose
    part beyond the border is added are in cells; `border_rounds` is how often the step is repeated for it;
    `unflip_shift` is how many cells the maps of a mirrored picture move right once they are mirrored back.

    >>> from kdkit_pose.codecs import MSRA
    >>> decoding_numbers(MSRA(input_size=(96, 128)))["cell_size"]
    [4.0, 4.0]
    """
    numbers: dict[str, Any] = {
        "rule": codec.name if codec.decoder == "peak" else codec.decoder,
        "heatmap_size": list(codec.heatmap_size),
        "cell_size": list(codec.cell_size),
        "sigma": float(codec.sigma),
        "unflip_shift": codec.unflip_shift,
    }
    refinement = _refinement(codec)
    if refinement is not None:
        numbers |= {
            "blur_kernel": refinement.kernel,
            "blur_sigma": blur_sigma(refinement.kernel),
            "border_sigma": refinement.sigma,
            "border_rounds": BORDER_ROUNDS,
        }
    return numbers


def describe_decoding(codec: Codec) -> str:
    """Return in words how keypoints and scores are read from the heatmaps that a codec's network gives.

    >>> from kdkit_pose.codecs import MSRA
    >>> print(describe_decoding(MSRA(input_size=(96, 128))))
    One heatmap [32 rows, 24 columns] for each keypoint. The score is the value of the highest cell, 0 if it is
    not above 0. The position is the highest cell, (x, y) = (column, row) counted from 0, moved along each axis by
    0.25 towards the higher of its two neighbours; not moved unless 1 < x < 23 and 1 < y < 31. In pixels of the
    input: x times 4, y times 4. Flip test: mirror the input, mirror its heatmaps back, exchange left and right
    keypoints, move the maps right by 1 cell, average.
    """
    width, height = codec.heatmap_size
    cell_width, cell_height = (f"{side:.9g}" for side in codec.cell_size)
    shift = codec.unflip_shift
    move = f"move the maps right by {shift} cell{'' if shift == 1 else 's'}, " if shift else ""
    return wrap(
        f"One heatmap [{height} rows, {width} columns] for each keypoint. The score is the value of the highest "
        f"cell, 0 if it is not above 0. {_position(codec)} In pixels of the input: x times {cell_width}, y times "
        f"{cell_height}. Flip test: mirror the input, mirror its heatmaps back, exchange left and right "
        f"keypoints, {move}average."
    )


def _position(codec: Codec) -> str:
    """Return the rule that gives the position in the heatmap, in sentences."""
    refinement = _refinement(codec)
    if refinement is not None:
        return _newton(refinement)
    if isinstance(codec, MSRA):
        width, height = codec.heatmap_size
        return (
            "The position is the highest cell, (x, y) = (column, row) counted from 0, moved along each axis by "
            f"0.25 towards the higher of its two neighbours; not moved unless 1 < x < {width - 1} and "
            f"1 < y < {height - 1}."
        )
    # A codec of the user's own: its class says what it does.
    text = " ".join((type(codec).__doc__ or "").split("\n\n")[0].split())
    return f"The position is that of {type(codec).__module__}.{type(codec).__qualname__}: {text}"


def _refinement(codec: Codec) -> _Refinement | None:
    """Return the Newton step that the codec's decoder ends with, None if it has none."""
    if codec.decoder == "centroid":
        start = "At the highest cell of the blurred map, values below 0 having counted as 0"
        return _Refinement(window_kernel(WINDOW * codec.sigma), start, _WIDE, WINDOW * codec.sigma)
    if isinstance(codec, DARK | UDP):
        start = "At the highest cell of the map before the blur"
        return _Refinement(codec.blur_kernel, start, _WIDE if isinstance(codec, DARK) else _NEAR, codec.sigma)
    return None


def _newton(refinement: _Refinement) -> str:
    kernel = refinement.kernel
    return (
        f"The position: blur the map with a Gaussian of {kernel} x {kernel} cells and standard deviation "
        f"{blur_sigma(kernel):.9g} over zeros beyond the border, also for the 2 cells next to the map on each "
        f"side; scale it to the maximum it had within the map, and take v, the natural logarithm of its values, "
        f"those below 1e-10 as 1e-10. {refinement.start}, (x, y) = (column, row) counted from 0, take {_SLOPES}, "
        f"{refinement.curvatures}. Solve [[xx, xy], [xy, yy]] step = -(slope_x, slope_y) and add the step to the "
        "cell, cut to -2..2 along each axis; the step is 0 where xx >= 0 or xx yy - xy xy <= 1e-9. That is all "
        f"where the {kernel} x {kernel} cells around each cell used lie within the map. Near the border repeat it "
        f"{BORDER_ROUNDS} times, the first time with step 0: let g(c) = exp(-(c - step)^2 / (2 "
        f"{refinement.sigma:.9g}^2)) for cells c counted from the highest one along an axis; for each offset d in "
        "-2..2 let loss(d) be the logarithm of the blur of g at d over the cells within the map, less that of its "
        "blur at d over all cells; take the sum of the columns' and the rows' loss from v before the step is "
        "solved anew."
    )
