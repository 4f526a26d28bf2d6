"""What a person wears and looks like."""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

import cv2
import numpy as np

from kdkit_pose.synthetic.canvas import Colour


class Hair(Enum):
    """Kinds of hair; `LONG` covers the ears."""

    BALD = "bald"
    SHORT = "short"
    BUN = "bun"
    LONG = "long"


class Pattern(Enum):
    """Patterns of a shirt."""

    PLAIN = "plain"
    HOOPS = "hoops"  # stripes about the body
    STRIPES = "stripes"  # stripes along it
    CHECKS = "checks"


SKIRT_LENGTH: Final = 0.72  # of the thigh
_SKINS: Final = ((242, 208, 184), (224, 172, 136), (198, 134, 92), (150, 96, 64), (98, 62, 44), (66, 44, 36))
_HAIRS: Final = ((32, 26, 24), (62, 42, 30), (104, 70, 42), (176, 132, 74), (220, 190, 130), (150, 60, 34))
_GREYS: Final = ((236, 236, 232), (190, 190, 190), (120, 120, 124), (58, 60, 66), (28, 30, 38))


@dataclass(frozen=True)
class Appearance:
    """Colours are RGB, 0..255.

    Attributes:
        sleeve: how far the shirt covers an arm: 0 not at all, 1 to the elbow, 2 to the wrist.
        leg_cover: how far trousers cover a leg: 1 to the knee, 2 to the ankle.
        skirt: whether a skirt is worn, of the trousers' colour.
        open_shirt: whether the front has a strip of the trim's colour, which tells front from back.
        brim: whether the hat has a brim towards the face.

    """

    skin: Colour
    hair: Colour
    hair_kind: Hair
    shirt: Colour
    trim: Colour
    pattern: Pattern
    sleeve: float
    trousers: Colour
    leg_cover: float
    skirt: bool
    shoes: Colour
    hat: Colour | None
    brim: bool
    open_shirt: bool
    backpack: Colour | None


def sample_appearance(rng: np.random.Generator) -> Appearance:
    """Draw a person's looks."""
    chance = rng.random(7)
    skirt = bool(chance[0] < 0.16)
    return Appearance(
        skin=_jittered(rng, _between(rng, _SKINS), 7.0),
        hair=_jittered(rng, _between(rng, _HAIRS), 8.0),
        hair_kind=Hair(rng.choice(["bald", "short", "bun", "long"], p=[0.07, 0.53, 0.13, 0.27])),
        shirt=cloth_colour(rng),
        trim=cloth_colour(rng),
        pattern=Pattern(rng.choice(["plain", "hoops", "stripes", "checks"], p=[0.55, 0.2, 0.12, 0.13])),
        sleeve=float(rng.choice([0.0, 0.5, 0.7, 1.3, 1.95], p=[0.1, 0.3, 0.15, 0.05, 0.4])),
        trousers=cloth_colour(rng),
        leg_cover=SKIRT_LENGTH if skirt else float(rng.choice([0.6, 0.9, 1.5, 1.97], p=[0.12, 0.18, 0.05, 0.65])),
        skirt=skirt,
        shoes=cloth_colour(rng),
        hat=cloth_colour(rng) if chance[1] < 0.2 else None,
        brim=bool(chance[2] < 0.7),
        open_shirt=bool(chance[3] < 0.5),
        backpack=cloth_colour(rng) if chance[4] < 0.12 else None,
    )


def similar_appearance(rng: np.random.Generator, model: Appearance) -> Appearance:
    """Draw looks that share another person's clothes, as in a team, up to slight differences of colour."""
    return replace(
        sample_appearance(rng),
        shirt=_jittered(rng, model.shirt, 7.0),
        trim=_jittered(rng, model.trim, 7.0),
        pattern=model.pattern,
        sleeve=model.sleeve,
        trousers=_jittered(rng, model.trousers, 7.0),
        leg_cover=model.leg_cover,
        skirt=model.skirt,
        shoes=_jittered(rng, model.shoes, 7.0),
        skin=_jittered(rng, model.skin, 9.0),
    )


def cloth_colour(rng: np.random.Generator) -> Colour:
    """Draw a colour as clothes and things have: a third grey, the rest of any hue."""
    if rng.random() < 0.35:
        return _jittered(rng, _between(rng, _GREYS), 6.0)
    hue, saturation, value = rng.random(3).tolist()
    hsv = np.array([[[180 * hue, 50 + 160 * saturation, 50 + 185 * value]]]).astype(np.uint8)
    red, green, blue = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return (float(red), float(green), float(blue))


def _between(rng: np.random.Generator, palette: tuple[tuple[int, int, int], ...]) -> Colour:
    """A colour between two neighbours of a palette."""
    place = rng.random() * (len(palette) - 1)
    low = int(place)
    share = place - low
    red, green, blue = (a + share * (b - a) for a, b in zip(palette[low], palette[low + 1], strict=True))
    return (red, green, blue)


def _jittered(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    red, green, blue = np.clip(np.asarray(colour) + rng.normal(0.0, spread, 3), 8.0, 250.0).tolist()
    return (red, green, blue)
