"""Gives names to what a network returns."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from kdkit.errors import ConfigurationError


def name_outputs(result: object, names: Sequence[str], owner: str) -> dict[str, Tensor]:
    """Return what a module gave as a dictionary with the declared names.

    Args:
        result: a tensor (for one name), a tuple or list of tensors (named in order), or a mapping that holds
            at least the names.
        names: the declared output names.
        owner: whose outputs these are, named in the error.

    Raises:
        ConfigurationError: if the result does not fit the names.
    """
    if isinstance(result, Mapping):
        missing = [name for name in names if name not in result]
        if missing:
            raise ConfigurationError(
                f"{owner} declares the outputs {missing}, but its network returned {sorted(result)}: "
                f"name only what the network returns"
            )
        named = {name: result[name] for name in names}
    else:
        values = tuple(result) if isinstance(result, tuple | list) else (result,)
        if len(values) != len(names):
            raise ConfigurationError(
                f"{owner} declares {len(names)} output(s) {list(names)}, but its network returned "
                f"{len(values)}: name every one, in order"
            )
        named = dict(zip(names, values, strict=True))
    for name, value in named.items():
        if not isinstance(value, Tensor):
            raise ConfigurationError(f"{owner}: output '{name}' is a {type(value).__name__}, not a tensor")
    return named
