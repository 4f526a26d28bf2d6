"""What predicted a data set's masks, as every report that used them names it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class MaskSource:
    """What predicted masks, and how well it did on persons whose masks are known.

    Attributes:
        file: The name of the predictor's file and of the folder it lay in, such as ``masks/student.safetensors``.
        sha256: Of the predictor's file.
        network: Its architecture and encoder.
        input_size: Width and height of its input in pixels.
        threshold: The probability from which on a pixel is the person's.
        iou: Mean intersection over union with the annotated masks of held-out persons, 0 to 1.
        persons: The number of these.
        box: That of their boxes, filled, with the same masks; None where it is not known.
    """

    file: str
    sha256: str
    network: str
    input_size: tuple[int, int]
    threshold: float
    iou: float
    persons: int
    box: float | None = None

    def __str__(self) -> str:
        return f"{self.file} (IoU {self.iou:.3f} on {self.persons} persons)"

    def to_json(self) -> dict[str, Any]:
        """The attributes in plain JSON types."""
        return {**asdict(self), "input_size": list(self.input_size)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "MaskSource":
        """The inverse of `to_json`.

        Raises:
            KeyError: An attribute is missing.
            TypeError, ValueError: One is of another kind.
        """
        width, height = content["input_size"]
        for key in ("file", "sha256", "network"):
            if not isinstance(content[key], str):
                raise TypeError(f"the predictor's {key} must be text, found {content[key]!r}")
        return cls(
            file=content["file"],
            sha256=content["sha256"],
            network=content["network"],
            input_size=(int(width), int(height)),
            threshold=float(content["threshold"]),
            iou=float(content["iou"]),
            persons=int(content["persons"]),
            box=None if content.get("box") is None else float(content["box"]),
        )


@dataclass(frozen=True)
class MasksUsed:
    """Which predictor's masks a data set took, and for how many of its persons.

    >>> source = MaskSource("masks/student.safetensors", "0" * 64, "fpn resnet18", (96, 128), 0.5, 0.81, 301)
    >>> print(MasksUsed(source, count=5, persons=9))
    masks of 5 of 9 persons predicted by masks/student.safetensors (IoU 0.810 on 301 persons)
    """

    source: MaskSource
    count: int
    persons: int

    def __str__(self) -> str:
        return f"masks of {self.count} of {self.persons} persons predicted by {self.source}"

    def to_json(self) -> dict[str, Any]:
        """What a report's JSON says of them: the predictor, and for how many of how many persons."""
        return {"predictor": self.source.to_json(), "predicted": self.count, "persons": self.persons}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "MasksUsed":
        """The inverse of `to_json`.

        Raises:
            KeyError: An item is missing.
            TypeError, ValueError: One is of another kind.
        """
        source = MaskSource.from_json(content["predictor"])
        return cls(source, int(content["predicted"]), int(content["persons"]))
