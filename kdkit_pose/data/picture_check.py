"""Whether the pictures that a run will read are there, and can be decoded."""

from dataclasses import dataclass

from kdkit.errors import DataError
from kdkit_pose.data.coco import CocoKeypoints
from kdkit_pose.data.images import read_picture
from kdkit_pose.data.pose_dataset import PoseDataset


@dataclass(frozen=True)
class PictureCheck:
    """What was found of a data set's pictures; printed, it is a line.

    Attributes:
        pictures: how many have persons and are there; of packed data, how many persons were packed.
        decoded: how many of these were decoded, or read.
        problems: what is wrong, each in a line.
    """

    pictures: int
    decoded: int
    problems: tuple[str, ...]

    def __str__(self) -> str:
        found = f", {len(self.problems)} problems" if self.problems else ""
        return f"{self.pictures} are there, {self.decoded} of them were decoded{found}"


def check_pictures(data: PoseDataset, what: str, *, sample: int = 64) -> PictureCheck:
    """Look for pictures that are missing or damaged, and decode some.

    Whether each file is there, of the declared size and has an end was looked at when the data set was made, which
    leaves persons of other pictures out. What lies between is only known of those that are decoded.

    Args:
        data: the persons.
        what: how to call them in a problem, such as ``training``.
        sample: how many to decode at most, evenly chosen.
    """
    problems = []
    for reason, count in data.skipped.of_pictures.items():
        names = ", ".join(data.skipped.left_out.names[reason][:3])
        more = ", ..." if len(data.skipped.left_out.names[reason]) > 3 else ""
        problems.append(f"{count} {what} persons cannot be seen: {reason} ({names}{more})")
    entries = list(data.entries.values()) if isinstance(data, CocoKeypoints) else []
    total = len(entries) if entries else len(data)
    chosen = sorted({place * total // min(sample, total) for place in range(min(sample, total))})
    for place in chosen:
        try:
            if isinstance(data, CocoKeypoints):
                read_picture(data.images, entries[place])
            else:
                data[place]
        except DataError as error:
            problems.append(f"a {what} picture cannot be used: {error}")
            break
    return PictureCheck(total, len(chosen), tuple(problems))
