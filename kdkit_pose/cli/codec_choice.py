"""The codec of a network's heatmaps: what its file says, what options say, and a guess that is named."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from kdkit_pose import codecs, models
from kdkit_pose.cli.loading import LoadedNetwork
from kdkit_pose.cli.options import build_codec
from kdkit_pose.codecs import Codec, Decoder

# The official repositories' files are bare state dicts, or training files. kdkit's reduced
# HRNets are none of theirs; nor are weights below `backbone.`.
_FORMATS = ("state dict", "training file", "official training file of its last epoch")
_NETWORKS = re.compile(r"hrnet_w\d+|simplebaseline_resnet(18|34|50|101|152)")
_SIZE = re.compile(r"(?<!\d)(\d{2,4})x(\d{2,4})(?!\d)")


@dataclass(frozen=True)
class ChosenCodec:
    """A codec, and how it is known: each part that is guessed is named with the option that says it."""

    codec: Codec
    how: str


def starting_codec(
    checkpoint: Path | None, name: str | None, input_size: str | None, sigma: float | None
) -> ChosenCodec:
    """Return the codec to train a network with: as options say, else as the file of its weights, else the default.

    Args:
        checkpoint: the weights that it starts from.
        name, input_size, sigma: as asked for; see :func:`choose_codec`.

    Raises:
        CheckpointError: if the file cannot be read.
        ConfigurationError: if a value cannot be used.
    """
    metadata = {} if checkpoint is None else models.recognise(checkpoint).metadata
    known = replace(codecs.from_metadata(metadata), decoder="peak") if "codec" in metadata else None
    codec = build_codec(name, input_size, sigma, known=known)
    if known is None:
        asked = any(given is not None for given in (name, input_size, sigma))
        how = "as asked for, else by default" if asked else "the default; see --codec and --input-size"
    else:
        how = f"as {checkpoint} says" if codec == known else f"as asked for; {checkpoint} was trained for {known}"
    return ChosenCodec(codec, how)


def choose_codec(
    loaded: LoadedNetwork,
    name: str | None,
    input_size: str | None,
    sigma: float | None,
    decoder: Decoder | None = None,
    option: str = "--codec",
) -> ChosenCodec:
    """Return how a network's heatmaps are read: as the options say, then as its file says, then by a guess.

    Guessed are, of a file that names no codec: ``msra`` where it is laid out as those of the official HRNet and
    SimpleBaseline repositories, else the default; the size from the file's name, else the default; the sigma that
    is usual at the size. That options contradict the file is left to :func:`kdkit_pose.cli.loading.check_codec`.

    Args:
        loaded: the network.
        name: the codec's name, as asked for.
        input_size: as asked for, height x width.
        sigma: as asked for.
        decoder: as asked for.
        option: what the command calls the codec.

    Raises:
        ConfigurationError: if a value cannot be used.
    """
    if loaded.codec is not None:
        codec = build_codec(name, input_size, sigma, known=loaded.codec, decoder=decoder)
        return ChosenCodec(codec, "as the file says")
    official, named_size = is_official(loaded), size_in_name(loaded.report.path)
    codec = build_codec(name or ("msra" if official else None), input_size or named_size, sigma, decoder=decoder)
    width, height = codec.input_size
    of_layout = "the official HRNet and SimpleBaseline files'" if official else "the default"
    guesses = (
        (name, f"{option} {codec.name} ({of_layout})"),
        (input_size, f"--input-size {height}x{width} ({'from its name' if named_size else 'the default'})"),
        (sigma, f"--sigma {codec.sigma:g} (usual at this size)"),
    )
    guessed = [guess for given, guess in guesses if given is None]
    return ChosenCodec(codec, f"assumed: {', '.join(guessed)}" if guessed else "as asked for")


def is_official(loaded: LoadedNetwork) -> bool:
    """Whether a file is laid out as those of the official HRNet and SimpleBaseline repositories."""
    network, report = loaded.network, loaded.report
    return (
        report.format in _FORMATS
        and _NETWORKS.fullmatch(network.name) is not None
        and not any("backbone." in key for key in report.used)
    )


def size_in_name(path: Path) -> str | None:
    """Return the height x width that a file's name gives; None where it gives none, or several.

    >>> size_in_name(Path("pose_hrnet_w32_384x288.pth"))
    '384x288'
    >>> size_in_name(Path("td-hm_hrnet-w48_8xb32-210e_coco-256x192-0e67c616_20220913.pth"))
    '256x192'
    """
    found = {
        match.group() for match in _SIZE.finditer(path.stem) if all(int(side) % 32 == 0 for side in match.groups())
    }
    return found.pop() if len(found) == 1 else None
