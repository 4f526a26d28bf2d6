"""How reports name predicted masks."""

from kdkit_pose.data import CocoKeypoints


def describe(data: CocoKeypoints) -> str | None:
    """A sentence without a full stop on a data set's predicted masks: by what, and how many. None without any.

    It goes into every report that used the data: printed beside the figures, and into the notes of
    `kdkit_pose.report.write_report`.
    """
    return None if data.masks_predicted is None else str(data.masks_predicted)
