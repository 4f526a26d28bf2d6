"""Options that say nothing without another one: refused, rather than ignored in silence."""

from collections.abc import Sequence

import typer

from kdkit import ConfigurationError


def given(context: typer.Context, parameters: Sequence[str]) -> list[str]:
    """Return those options that stand on the command line, as it names them.

    Args:
        context: the command's.
        parameters: names of the command's parameters, such as ``box_threshold``; the option is called alike.
    """
    sources = ((name, context.get_parameter_source(name)) for name in parameters)
    return [
        f"--{name.replace('_', '-')}"
        for name, source in sources
        if source is not None and source.name == "COMMANDLINE"
    ]


def refuse(context: typer.Context, parameters: Sequence[str], reason: str) -> None:
    """Refuse options that would change nothing.

    Args:
        context: the command's.
        parameters: as for `given`.
        reason: why they are of no use and what to do, such as ``needs --boxes``; goes after their names.

    Raises:
        ConfigurationError: if one of them is given.
    """
    if options := given(context, parameters):
        raise ConfigurationError(f"{' and '.join(options)} would change nothing: {reason}")


def require_with(context: typer.Context, needed: Sequence[str], parameters: Sequence[str]) -> None:
    """Refuse options that say more of another one, where that is not given.

    Args:
        context: the command's.
        needed: names of parameters of which one must be given.
        parameters: those that need it; both as for `given`.

    Raises:
        ConfigurationError: if one of ``parameters`` is given and none of ``needed``.
    """
    if not given(context, needed):
        options = [f"--{name.replace('_', '-')}" for name in needed]
        refuse(context, parameters, f"give {' or '.join(options)} too, or leave it out")
