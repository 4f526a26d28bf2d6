"""From the project's docstrings to Markdown: roles become links, doctests become code blocks."""

import re
from typing import Any

import griffe

ROLE = re.compile(r":[a-z]+:`(~)?([\w.]+)`")
DOCTEST = re.compile(r"^( *)>>> .*(?:\n\1(?! *$).+)*", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Turns ``:class:`Trainer``` into a link to what it names, or into code where the site does not show that."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Turn the docstring of anything in a package."""
        _turn(obj)

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Turn the docstring of a package that is in no other."""
        _turn(pkg)


def _turn(obj: griffe.Object) -> None:
    if obj.docstring:
        text = ROLE.sub(lambda match: _link(match, obj), obj.docstring.value)
        obj.docstring.value = DOCTEST.sub(r"\1```pycon\n\g<0>\n\1```", text)


def _link(match: re.Match[str], obj: griffe.Object) -> str:
    shown = match[2].rpartition(".")[2] if match[1] else match[2]
    # Optional: a name that no page shows is plain code, and no error.
    return f'<autoref identifier="{_path(match[2], obj)}" optional><code>{shown}</code></autoref>'


def _path(name: str, obj: griffe.Object) -> str:
    """Return a name's full path, as seen from an object: its own members first, then those around it."""
    first, _, rest = name.partition(".")
    scope: griffe.Object | None = obj
    while scope is not None:
        if first in scope.members:
            member = scope.members[first]
            path = member.target_path if member.is_alias else member.path
            return f"{path}.{rest}" if rest else path
        scope = scope.parent
    return name
