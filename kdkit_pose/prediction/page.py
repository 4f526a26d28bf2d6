"""One page with all pictures of a prediction, small, to look at in a browser."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

import cv2
import numpy as np

from kdkit_pose.prediction.canvas import LONGEST_SIDE
from kdkit_pose.prediction.checks import Picture
from kdkit_pose.report.page import document

_THUMBNAIL = 720

_STYLE = """
main { max-width: 84rem; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(26rem, 100%), 1fr)); gap: 1.25rem;
  align-items: start; margin-top: 2rem; }
.grid img { display: block; width: 100%; aspect-ratio: 4 / 3; object-fit: contain; border-radius: 6px;
  background: #2a2a2a; }
.grid figcaption { margin-top: 0.4rem; }
.grid a { color: inherit; }
.name { color: var(--ink); font-weight: 600; }
.key { display: inline-block; width: 0.75em; height: 0.75em; border-radius: 50%; border: 1px solid #0008;
  margin: 0 0.25em 0 0.6em; }
"""


@dataclass(frozen=True)
class ShownPicture:
    """A picture on the page.

    Attributes:
        name: The picture's.
        summary: What was found in it, in a few words.
        thumbnail: A small JPEG file's content.
        links: What is a click away: a label and a path from the page's folder.
    """

    name: str
    summary: str
    thumbnail: bytes
    links: Sequence[tuple[str, str]]


def thumbnail(overlay: Picture) -> bytes:
    """A small JPEG of an overlay."""
    height, width, _ = overlay.shape
    factor = min(1.0, _THUMBNAIL / max(width, height))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(overlay, size, interpolation=cv2.INTER_AREA) if factor < 1 else overlay
    return to_jpeg(np.asarray(small, dtype=np.uint8), 85)


def to_jpeg(picture: Picture, quality: int) -> bytes:
    """The content of a JPEG file; coloured lines stay sharp, for colours are kept at full resolution.

    A picture of more than 65,500 pixels a side, which no JPEG holds, is made smaller.
    """
    height, width, _ = picture.shape
    if max(height, width) > LONGEST_SIDE:
        factor = LONGEST_SIDE / max(height, width)
        size = (max(1, int(width * factor)), max(1, int(height * factor)))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return cv2.imencode(".jpg", picture[:, :, ::-1], options)[1].tobytes()


def render_predictions(
    title: str,
    lead: str,
    pictures: Sequence[ShownPicture],
    notes: Sequence[str],
    colours: Sequence[tuple[str, str]],
) -> str:
    """The whole page, with style and thumbnails inside; every text given is escaped.

    Args:
        title: The page's.
        lead: A sentence on what was done.
        pictures: Shown in their order.
        notes: Plain sentences.
        colours: The key to the drawings: a name and a CSS colour each.
    """
    keys = "".join(f'<span class="key" style="background:{c}"></span>{escape(n)}' for n, c in colours)
    figures = "\n".join(map(_figure, pictures))
    items = "\n".join(f"<li>{escape(note)}</li>" for note in notes)
    key = f"The person's own side:{keys}. Numbers are the poses' scores."
    body = f'<p class="lead">{escape(lead)}</p>\n<p class="small">{key}</p>\n'
    body += f'<div class="grid">\n{figures}\n</div>\n<section>\n<h2>Notes</h2>\n<ul>\n{items}\n</ul>\n</section>'
    return document(title, body, _STYLE)


def _figure(picture: ShownPicture) -> str:
    content = b64encode(picture.thumbnail).decode()
    image = f'<img src="data:image/jpeg;base64,{content}" alt="{escape(picture.name)}" />'
    links = ", ".join(f'<a href="{quote(path)}">{escape(label)}</a>' for label, path in picture.links)
    return (
        f'<figure>\n<a href="{quote(picture.links[0][1])}">{image}</a>\n<figcaption><span class="name">'
        f"{escape(picture.name)}</span><br />{escape(picture.summary)}<br />{links}</figcaption>\n</figure>"
    )
