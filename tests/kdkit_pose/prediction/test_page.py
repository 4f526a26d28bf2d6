"""The page of predictions shows names as text, whatever they are."""

from xml.etree import ElementTree

import numpy as np

from kdkit_pose.prediction.page import ShownPicture, render_predictions, thumbnail

NASTY = "<script>alert(\"a\" & 'b')</script>"


def test_every_text_is_escaped() -> None:
    small = thumbnail(np.zeros((8, 6, 3), dtype=np.uint8))
    links = [(NASTY, f"overlays/{NASTY}.jpg"), ("b", "javascript:alert(1)")]
    shown = ShownPicture(NASTY, f"1 person, {NASTY}", small, links)
    page = render_predictions(NASTY, NASTY, [shown], [NASTY], [(NASTY, "#123456")])
    root = ElementTree.fromstring(page)
    assert not [element for element in root.iter() if element.tag.endswith("script")]
    assert "<script" not in page
    texts = "".join(root.itertext())
    assert texts.count(NASTY) >= 7
    # A path stays one: no scheme, and nothing that ends the attribute.
    places = [element.get("href") for element in root.iter() if element.get("href")]
    assert all(place is not None and ":" not in place and '"' not in place for place in places)
