"""How much to trust a pose: the box's score and the keypoints' together."""

import numpy as np
import numpy.typing as npt


def rescore(box_score: float, keypoint_scores: npt.ArrayLike, threshold: float = 0.2) -> float:
    """The box's score times the mean of those of ``keypoint_scores`` [K] that are above ``threshold``.

    It is 0 where none is. Source: the evaluation of the HRNet reference implementation (``in_vis_thre``).

    >>> rescore(0.5, [0.9, 0.5, 0.1])
    0.35
    """
    scores = np.asarray(keypoint_scores, dtype=np.float64)
    confident = scores[scores > threshold]
    return box_score * float(confident.mean()) if confident.size else 0.0
