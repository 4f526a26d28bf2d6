"""How a cache stores heatmaps, from options."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from kdkit import Binarize, ConfigurationError, Identity, TargetTransform
from kdkit.cache import BitWindow, Dense, RecordCodec, Window
from kdkit_pose.cli.given import refuse


class StoredAs(StrEnum):
    """The codecs of records."""

    float16 = "float16"
    uint8 = "uint8"
    window = "window"
    bit_window = "bit-window"


class Transformed(StrEnum):
    """What is applied to heatmaps before they are stored."""

    none = "none"
    binarize = "binarize"


@dataclass(frozen=True)
class Storage:
    """What of each heatmap is kept."""

    store_as: Annotated[
        StoredAs | None,
        typer.Option(
            help="How heatmaps are stored; by default bit-window where binarized, else float16, the exactest."
        ),
    ] = None
    window: Annotated[int, typer.Option(min=1, help="Height and width of a heatmap's window, in cells.")] = 11
    transform: Annotated[Transformed, typer.Option(help="What is done to heatmaps before they are stored.")] = (
        Transformed.none
    )
    threshold: Annotated[float, typer.Option(help="Threshold of the binarization, above 0 and up to 1.")] = 0.5

    @property
    def target_transform(self) -> TargetTransform:
        """What is applied to heatmaps."""
        return Binarize(self.threshold) if self.transform is Transformed.binarize else Identity()

    @property
    def record_codec(self) -> RecordCodec:
        """How they are stored then."""
        if self.store_as is StoredAs.window:
            return Window(self.window, "uint8")
        if self.stored_as is StoredAs.bit_window:
            return BitWindow(self.window)
        return Dense("uint8" if self.store_as is StoredAs.uint8 else "float16")

    @property
    def stored_as(self) -> StoredAs:
        """The codec, where none is asked for, too."""
        if self.store_as is not None:
            return self.store_as
        return StoredAs.bit_window if self.transform is Transformed.binarize else StoredAs.float16

    def check(self, context: typer.Context) -> None:
        """Refuse what would change nothing, or cannot be stored.

        Raises:
            ConfigurationError: if an option does not go with the others, or is out of its range.
        """
        if not 0 < self.threshold <= 1:
            raise ConfigurationError(f"--threshold is {self.threshold}, it must be above 0 and up to 1")
        if self.transform is Transformed.none:
            refuse(context, ["threshold"], "nothing is binarized; give --transform binarize too, or leave it out")
            if self.stored_as is StoredAs.bit_window:
                raise ConfigurationError(
                    "--store-as bit-window holds zeros and ones: give --transform binarize, or --store-as window"
                )
        if self.stored_as not in (StoredAs.window, StoredAs.bit_window):
            refuse(context, ["window"], f"--store-as {self.stored_as.value} keeps whole maps; leave it out")
