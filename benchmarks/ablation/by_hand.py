"""Sentences written by hand, whose differences are those of the studies' files."""

import re
from collections.abc import Sequence

from benchmarks.ablation.study_file import StudyFile

_DIFFERENCE = re.compile(r"\{([^{}:]+): (\S+) minus ([^{}\s]+)\}")


def filled(text: str, studies: Sequence[StudyFile]) -> str:
    """Return a text with each ``{study: row minus other}`` as mean and interval.

    Raises:
        ValueError: if no file has such a difference, or a brace is left.
    """

    def value(found: re.Match[str]) -> str:
        name, variant, other = found.groups()
        for study in studies:
            if study.name == name and (comparison := study.comparison(variant, other)) is not None:
                return comparison.value
        raise ValueError(f"no study has {found.group()}")

    result = _DIFFERENCE.sub(value, text)
    if "{" in result or "}" in result:
        raise ValueError(f"a brace is left, where differences are written {{study: row minus other}}: {result}")
    return result
