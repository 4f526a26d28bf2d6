import math
import re
from base64 import b64decode
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from kdkit.errors import ConfigurationError
from kdkit_pose.report import Figure, draw_loss_curves, write_report
from kdkit_pose.report.table import format_parameters, format_seconds

NASTY = "<script>alert(\"a\" & 'b')</script>"


def _texts(page, tag):
    root = ElementTree.fromstring(page.read_text())
    return ["".join(element.itertext()) for element in root.iter(tag)]


def _figure(name="a_picture", caption="A caption."):
    return Figure(name, caption, np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8))


def test_the_page_is_well_formed_and_loads_nothing(tmp_path, make_run):
    runs = [make_run("plain student"), make_run("ODKD student", 0.6)]
    page = write_report(tmp_path, title="T", runs=runs, figures=[draw_loss_curves(runs), _figure()], notes=["n"])
    assert page == tmp_path / "report.html"
    root = ElementTree.fromstring(page.read_text())
    assert root.tag == "html"
    for element in root.iter():
        assert element.tag not in ("script", "link", "iframe", "object", "base")
        for attribute in ("src", "href", "srcset", "data"):
            assert element.get(attribute, "data:").startswith("data:")
    text = page.read_text()
    assert not re.search(r"https?://|@import|url\(", text)
    assert "The ODKD student's AP is 0.100 above" in "".join(_texts(page, "p"))


def test_pictures_are_inside_of_the_page_and_beside_it(tmp_path, make_run):
    figure = _figure()
    page = write_report(tmp_path, title="T", runs=[make_run("a")], figures=[figure], notes=[])
    beside = (tmp_path / "report" / "a_picture.png").read_bytes()
    (image,) = ElementTree.fromstring(page.read_text()).iter("img")
    assert b64decode(image.attrib["src"].removeprefix("data:image/png;base64,")) == beside
    assert image.attrib["alt"] == "A picture"
    decoded = cv2.imdecode(np.frombuffer(beside, dtype=np.uint8), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(decoded, figure.image)


def test_every_text_is_escaped(tmp_path, make_run):
    run = make_run(NASTY, boxes=NASTY)
    student, other = make_run(f"{NASTY} student"), make_run("other student")
    object.__setattr__(run, "network", NASTY)
    figure = _figure(caption=NASTY)
    page = write_report(tmp_path, title=NASTY, runs=[run, student, other], figures=[figure], notes=[NASTY])
    assert "<script" not in page.read_text()
    for tag, count in (("title", 1), ("h1", 1), ("th", 2), ("td", 1), ("figcaption", 1), ("li", 1), ("p", 2)):
        assert sum(NASTY in text for text in _texts(page, tag)) == count, tag


@pytest.mark.parametrize("unknown", [None, math.nan])
def test_unknown_figures_are_dashes(tmp_path, make_run, unknown):
    # Of six figures AP, APM, AP75, APL and AR are unknown or missing.
    page = write_report(tmp_path, title="T", runs=[make_run("a", unknown)])
    cells = _texts(page, "td")
    assert cells.count("\N{EN DASH}") == 5
    assert "0.900" in cells
    assert "nan" not in page.read_text().lower().replace("nance", "")


def test_the_table_has_a_row_for_each_run_and_states_the_boxes(tmp_path, make_run):
    page = write_report(tmp_path, title="T", runs=[make_run("first", 0.1234), make_run("second")])
    names = [text for text in _texts(page, "th") if text in ("first", "second")]
    assert names == ["first", "second"]
    for cell in ("hrnet_w8_small", "1.23 M", "0.123", "1 min 15 s"):
        assert cell in _texts(page, "td")
    assert "Boxes of the people: ground truth." in _texts(page, "p")


def test_boxes_that_differ_are_told_apart(tmp_path, make_run):
    page = write_report(tmp_path, title="T", runs=[make_run("a"), make_run("b", boxes="detector")])
    said = [text for text in _texts(page, "p") if text.startswith("Boxes")]
    assert said == [
        "Boxes of the people, which differ, so that the figures do not compare: a: ground truth, b: detector."
    ]


def test_a_report_of_nothing_can_be_written(tmp_path):
    page = write_report(tmp_path / "new" / "folder", title="T", runs=[])
    assert _texts(page, "h1") == ["T"]
    assert list(page.parent.iterdir()) == [page]


def test_a_report_can_be_written_again(tmp_path, make_run):
    write_report(tmp_path, title="first", runs=[make_run("a")], figures=[_figure()])
    page = write_report(tmp_path, title="second", runs=[make_run("a")], figures=[_figure()])
    assert _texts(page, "h1") == ["second"]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a_picture.png", "report", "report.html"]


def test_figures_of_one_name_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ConfigurationError, match="two figures are called 'a_picture'"):
        write_report(tmp_path, title="T", runs=[], figures=[_figure(), _figure("A_picture")])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "../up", "a b", "a/b", "x.png"])
def test_a_figure_s_name_is_a_file_stem(name):
    with pytest.raises(ConfigurationError, match="stem of its file"):
        _figure(name)


@pytest.mark.parametrize("image", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)])
def test_a_figure_is_rgb_bytes(image):
    with pytest.raises(ConfigurationError, match="RGB image"):
        Figure("name", "", image)


@pytest.mark.parametrize(
    ("count", "text"),
    [(950, "950"), (12_345, "12.3 k"), (412_345, "412 k"), (1_534_000, "1.53 M"), (28_535_000, "28.5 M")],
)
def test_parameters_are_counted_readably(count, text):
    assert format_parameters(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.23, "4.2 s"), (59.97, "1 min 00 s"), (185, "3 min 05 s"), (3599.7, "1 h 00 min"), (7800, "2 h 10 min")],
)
def test_seconds_are_written_readably(seconds, text):
    assert format_seconds(seconds) == text
