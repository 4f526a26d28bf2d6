"""Whether there are the masks that a network reads."""

from kdkit import DataError
from kdkit_pose.data import PoseDataset


def require_masks(data: PoseDataset, reader: str, remedy: str) -> None:
    """Refuse data in which nobody has a mask, for a network that reads masks: it would see only ones.

    Args:
        data: the persons; one without masks is not looked at.
        reader: what reads the masks, such as a file.
        remedy: what to do, behind the words "give ".

    Raises:
        DataError: if it has masks, and all are masks of ones.
    """
    if data.has_masks and not data.masked:
        raise DataError(
            f"{reader} reads each person's mask, and none of the {len(data)} persons has one: give {remedy} "
            "(kdkit-pose train-masks and predict-masks make them)"
        )


def masks_of_ones(data: PoseDataset) -> str:
    """Return how many persons have a mask of ones, as a clause; nothing if none has, or no mask is read."""
    missing = len(data) - data.masked if data.has_masks else 0
    return f", masks of ones for {missing} of {len(data)} persons" if missing else ""
