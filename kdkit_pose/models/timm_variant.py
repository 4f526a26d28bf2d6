"""timm's `tf_` models, which have the weights of another model, but not its arithmetic."""

import re
from pathlib import Path

from kdkit.errors import CheckpointError

PREFIX = "tf_"


def check_variant(path: Path, said: str, backbone: str, remedy: str) -> None:
    """Require, as far as a name tells, that a classifier's file is not of the model's `tf_` variant, or only that.

    The two have weights of the same names and shapes, but pad images in another way and have another epsilon in
    BatchNorm, so that weights of the one give worse features in the other.

    Args:
        path: The file, named in the error.
        said: What the file is called, without its folder; one like `weights.pth` says nothing.
        backbone: timm's name of the model that the weights are for, perhaps with a tag.
        remedy: How to name the other variant, with `{}` in place of timm's name of it.

    Raises:
        CheckpointError: The name says the other variant.
    """
    import timm

    built = backbone.partition(".")[0]
    plain = built.removeprefix(PREFIX)
    other = plain if built != plain else PREFIX + built
    if not timm.is_model(other):
        return
    named_tf = re.search(rf"(?<![a-z0-9]){PREFIX}", said.lower()) is not None
    if named_tf == (built != plain) or (not named_tf and plain not in said.lower()):
        return
    raise CheckpointError(
        f"{path} is by its name of timm's {other!r}, the network built has {built!r}: their weights have the same"
        f" names and shapes, but they pad images in different ways; {remedy.format(other)}, or rename the file if"
        " its name is wrong"
    )
