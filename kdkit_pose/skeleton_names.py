"""Left and right in the names of keypoints: which two change places in a mirror."""

import re
from collections.abc import Iterable, Sequence

from kdkit.errors import ConfigurationError

Pairs = tuple[tuple[int, int], ...]
Sided = tuple[str, tuple[str, ...]]

HOW_TO_STATE_PAIRS = (
    'state all pairs by name, as flip_pairs=[("left_eye", "right_eye"), ...] in Python or '
    '"flip_pairs": [["left_eye", "right_eye"], ...] in the category; '
    "an empty list says that nothing changes places"
)
"""What an error asks for where names do not tell which keypoints mirror each other."""

_SIDES = {"left": "left", "l": "left", "right": "right", "r": "right"}
_OTHER = {"left": "right", "right": "left"}
# Between words: signs and spaces, and where camel case begins a new word, as in leftEye, LeftEye and LEye.
_BETWEEN_WORDS = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def side(name: str) -> Sided | None:
    """The side, ``left`` or ``right``, that a keypoint's name tells, and its other words; None if it tells none.

    A side is the word left, right, l or r, at any place. A name of both sides tells none, nor does a lone letter.

    >>> side("left_eye"), side("EyeR"), side("r-knee"), side("nose")
    (('left', ('eye',)), ('right', ('eye',)), ('right', ('knee',)), None)
    """
    words = [word.lower() for word in _BETWEEN_WORDS.split(name) if word]
    places = [place for place, word in enumerate(words) if word in _SIDES]
    if len(places) != 1 or words in (["l"], ["r"]):
        return None
    (place,) = places
    return _SIDES[words[place]], (*words[:place], *words[place + 1 :])


def find_flip_pairs(names: Sequence[str], owner: str) -> Pairs:
    """The pairs (left, right) of indices of keypoints whose names differ by their side alone.

    Raises:
        ConfigurationError: A left keypoint lacks its right one or the other way round, two names tell the same,
            two differ by their side but are no words of it (``lhip``, ``rhip``), or no name tells a side;
            ``owner`` says whose names these are.

    >>> find_flip_pairs(["nose", "left_eye", "right_eye"], "a face")
    ((1, 2),)
    """
    _check_none_is_missed(names, owner)
    places: dict[Sided, int] = {}
    for sided, (place, *others) in _places(names).items():
        if others:
            raise ConfigurationError(
                f"{owner}: the keypoints {names[place]!r} and {names[others[0]]!r} are both of the {sided[0]}, of "
                f"the same name otherwise, so which is whose mirror image is not known; {HOW_TO_STATE_PAIRS}"
            )
        places[sided] = place
    for sided, place in places.items():
        if _mirrored(sided) not in places:
            raise ConfigurationError(
                f"{owner}: the keypoint {names[place]!r} is of the {sided[0]}, but there is none of the same name "
                f"of the {_OTHER[sided[0]]}; {HOW_TO_STATE_PAIRS}"
            )
    if not places:
        raise ConfigurationError(
            f"{owner}: no keypoint's name tells left from right ({', '.join(names[:4])}, ...), so which change "
            f"places in a mirror is not known; {HOW_TO_STATE_PAIRS}"
        )
    return tuple((place, places[_mirrored(sided)]) for sided, place in places.items() if sided[0] == "left")


def parse_flip_pairs(pairs: Iterable[Sequence[str]], names: Sequence[str], owner: str) -> Pairs:
    """The indices of pairs that are stated by name.

    Raises:
        ConfigurationError: Something is no pair of the keypoints' names.
    """
    found = []
    if isinstance(pairs, str) or not isinstance(pairs, Iterable):
        raise ConfigurationError(
            f"{owner}: flip_pairs is {str(pairs)[:60]!r}, no list of pairs; {HOW_TO_STATE_PAIRS}"
        )
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(name in names for name in pair):
            raise ConfigurationError(
                f"{owner}: flip_pairs holds {pair!r}, no pair of its keypoints' names; {HOW_TO_STATE_PAIRS}"
            )
        found.append((names.index(pair[0]), names.index(pair[1])))
    return tuple(found)


def check_flip_pairs(names: Sequence[str], pairs: Pairs, owner: str) -> None:
    """See that pairs contradict no name: who says left mirrors who says right, and nobody is forgotten.

    Names that tell no side may be paired freely, and a left keypoint whose right one there is not may stay alone.

    Raises:
        ConfigurationError: They do; the keypoint is named.
    """
    places = _places(names)
    partner = dict(pairs) | {second: first for first, second in pairs}
    for sided, place in ((sided, place) for sided, found in places.items() for place in found):
        mirrors, paired = places.get(_mirrored(sided), []), partner.get(place)
        if mirrors and paired is None:
            raise ConfigurationError(
                f"{owner}: {names[place]!r} is in no flip pair, but by its name it changes places with "
                f"{names[mirrors[0]]!r}; {HOW_TO_STATE_PAIRS}"
            )
        told = None if paired is None else side(names[paired])
        same_side = told is not None and told[0] == sided[0]
        if paired is not None and (same_side or (mirrors and paired not in mirrors)):
            expected = f"its name says {names[mirrors[0]]!r}" if mirrors else "both are of one side"
            raise ConfigurationError(
                f"{owner}: a flip pair joins {names[place]!r} with {names[paired]!r}, but {expected}; "
                f"{HOW_TO_STATE_PAIRS}"
            )


def _places(names: Sequence[str]) -> dict[Sided, list[int]]:
    """Where the names of each side and rest are; several, as of left_eye and eye_left, in their order."""
    places: dict[Sided, list[int]] = {}
    for place, name in enumerate(names):
        if (sided := side(name)) is not None:
            places.setdefault(sided, []).append(place)
    return places


def _check_none_is_missed(names: Sequence[str], owner: str) -> None:
    """Refuse pairs such as lhip and rhip, or hipleft and hipright, whose side is no word of its own.

    They might mirror each other, and beside others that do by their names, nobody would miss them.
    """
    told_nothing = {name.lower(): name for name in names if side(name) is None}
    for lowered, name in told_nothing.items():
        for left, right in (("left", "right"), ("l", "r")):
            starting, ending = right + lowered.removeprefix(left), lowered.removesuffix(left) + right
            for has, mirror in ((lowered.startswith(left), starting), (lowered.endswith(left), ending)):
                if has and mirror in told_nothing:
                    raise ConfigurationError(
                        f"{owner}: the keypoints {name!r} and {told_nothing[mirror]!r} differ like left and "
                        f"right, but whether they change places in a mirror is not certain; {HOW_TO_STATE_PAIRS}"
                    )


def _mirrored(sided: Sided) -> Sided:
    return _OTHER[sided[0]], sided[1]
