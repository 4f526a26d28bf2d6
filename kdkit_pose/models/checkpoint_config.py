"""What mmpose's checkpoints say of their heatmaps, read from their configuration's text without running it.

mmpose writes the training's configuration, Python source, into `meta` (1.x: `cfg`; 0.x: `config`). It is parsed,
never executed, and only literals are looked at.
"""

import ast
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

LONGEST = 200_000  # characters; a configuration has about 10,000


def read_codec(meta: object) -> dict[str, str]:
    """Return a codec's metadata, as `Codec.to_metadata` writes it; empty where the file says none that kdkit has.

    Args:
        meta: A checkpoint's `meta`.

    >>> text = "codec = dict(type='MSRAHeatmap', input_size=(192, 256), sigma=2)"
    >>> read_codec({"cfg": text})["codec"], read_codec({"cfg": text})["codec_input_size"]
    ('msra', '192x256')
    """
    if not isinstance(meta, Mapping):
        return {}
    for key in ("cfg", "config"):
        text = meta.get(key)
        if not isinstance(text, str) or len(text) > LONGEST:
            continue
        try:
            with warnings.catch_warnings(action="ignore"):  # of the text's own syntax
                calls = list(_calls(ast.parse(text)))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for read in (_from_version_1, _from_version_0):
            if (found := read(calls)) is not None:
                return found
    return {}


def read_keypoints(meta: object) -> tuple[str, ...]:
    """Return the keypoints' names in mmpose 1.x's `meta`, in order; empty where it has none."""
    dataset = meta.get("dataset_meta") if isinstance(meta, Mapping) else None
    names = dataset.get("keypoint_id2name") if isinstance(dataset, Mapping) else None
    if not isinstance(names, Mapping) or set(names) != set(range(len(names))):
        return ()
    return tuple(str(names[index]) for index in range(len(names)))


def _calls(tree: ast.Module) -> Iterator[dict[str, Any]]:
    """Give the literal arguments of every `dict(...)` in a configuration, and of every `{...}` likewise."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
            yield _literals([(argument.arg, argument.value) for argument in node.keywords])
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield _literals(
                [(key.value if isinstance(key, ast.Constant) else None, value) for key, value in pairs]
            )


def _literals(pairs: list[tuple[Any, ast.expr]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if isinstance(name, str):
            try:
                found[name] = ast.literal_eval(value)
            except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                continue
    return found


def _from_version_1(calls: list[dict[str, Any]]) -> dict[str, str] | None:
    """mmpose 1.x: the codec is one object, `dict(type='UDPHeatmap', input_size=..., sigma=...)`.

    Two that differ, of several heads, leave the codec unknown.
    """
    found = []
    for call in calls:
        name = None
        if call.get("type") == "MSRAHeatmap":
            name = "dark" if call.get("unbiased") else "msra"
        elif call.get("type") == "UDPHeatmap" and call.get("heatmap_type", "gaussian") == "gaussian":
            name = "udp"
        if name is not None:
            found.append(_metadata(name, call.get("input_size"), call.get("sigma", 2.0)))
    return found[0] if found and all(codec == found[0] for codec in found) else None


def _from_version_0(calls: list[dict[str, Any]]) -> dict[str, str] | None:
    """mmpose 0.x: the targets' step in the pipeline, and the input's size in `data_cfg`."""
    targets = [call for call in calls if call.get("type") == "TopDownGenerateTarget"]
    sizes = [call["image_size"] for call in calls if "image_size" in call and "heatmap_size" in call]
    if not targets or not sizes or any(size != sizes[0] for size in sizes):
        return None
    name = "dark" if targets[0].get("unbiased_encoding") else "msra"
    if targets[0].get("encoding", "MSRA") == "UDP":
        name = "udp"
    elif targets[0].get("encoding", "MSRA") != "MSRA":
        return None
    if any(str(call.get("target_type", "GaussianHeatmap")).lower() != "gaussianheatmap" for call in calls):
        return None
    return _metadata(name, sizes[0], targets[0].get("sigma", 2.0))


def _metadata(name: str, size: Any, sigma: Any) -> dict[str, str] | None:
    if isinstance(size, int):
        size = (size, size)
    if not isinstance(size, tuple | list) or len(size) != 2 or not all(type(side) is int for side in size):
        return None
    if not isinstance(sigma, int | float) or isinstance(sigma, bool):
        return None
    return {
        "codec": name,
        "codec_input_size": f"{size[0]}x{size[1]}",
        "codec_sigma": repr(float(sigma)),
        "codec_decoder": "peak",
    }
