"""A codec as a description: checked when made, comparable, and able to travel in a file's header."""

import numpy as np
import pytest

from kdkit.errors import ConfigurationError
from kdkit_pose import codecs
from kdkit_pose.geometry import corner_affine, crop_affine


@pytest.mark.parametrize("name", codecs.names())
@pytest.mark.parametrize("decoder", ["peak", "centroid"])
def test_metadata_makes_the_same_codec(name, decoder):
    codec = codecs.create(name, (288, 384), 3.1, decoder)
    metadata = codec.to_metadata()
    assert all(isinstance(value, str) for value in metadata.values())
    assert codecs.from_metadata({**metadata, "model": "hrnet_w32"}) == codec


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"codec": "udp9"}, "udp9"),
        ({"codec_input_size": "192"}, "192"),
        ({"codec_sigma": "wide"}, "wide"),
        ({"codec_decoder": "best"}, "best"),
        ({"codec": None}, "codec missing"),
    ],
)
def test_unreadable_metadata_says_what_is_wrong(change, match):
    metadata = {**codecs.MSRA().to_metadata(), **change}
    with pytest.raises(ConfigurationError, match=match):
        codecs.from_metadata({key: value for key, value in metadata.items() if value is not None})


@pytest.mark.parametrize("codec", [codecs.MSRA, codecs.DARK, codecs.UDP])
@pytest.mark.parametrize(
    "arguments",
    [
        {"input_size": (190, 256)},
        {"input_size": (0, 256)},
        {"input_size": (-192, 256)},
        {"input_size": (192,)},
        {"input_size": (192.5, 256)},
        {"sigma": 0},
        {"sigma": float("nan")},
        {"decoder": "argmax"},
    ],
)
def test_impossible_arguments_are_refused(codec, arguments):
    with pytest.raises(ConfigurationError, match=codec.name):
        codec(**arguments)


@pytest.mark.parametrize("size", [(4, 64), (64, 4)])
def test_udp_needs_two_cells_a_side(size):
    with pytest.raises(ConfigurationError, match=r"udp.*2 cells, which is 8 pixels"):
        codecs.UDP(input_size=size)
    assert codecs.UDP(input_size=(8, 8)).cell_size == (7.0, 7.0)
    assert codecs.MSRA(input_size=size).cell_size == (4.0, 4.0)


def test_lists_are_taken_as_json_gives_them():
    codec = codecs.MSRA(input_size=[96, 128])
    assert codec == codecs.MSRA(input_size=(96, 128))
    assert hash(codec) == hash(codecs.MSRA(input_size=(96, 128)))
    assert codec.heatmap_size == (24, 32)


@pytest.mark.parametrize(
    ("codec", "expected"), [(codecs.MSRA, crop_affine), (codecs.DARK, crop_affine), (codecs.UDP, corner_affine)]
)
def test_affine_is_the_crop_of_the_input_size(codec, expected):
    arguments = ((50.0, 60.0), (75.0, 100.0))
    found = codec(input_size=(96, 128)).affine(*arguments, rotation=30)
    assert np.array_equal(found, expected(*arguments, (96, 128), 30))


@pytest.mark.parametrize("name", codecs.names())
def test_a_convention_is_all_but_the_decoder(name):
    codec = codecs.create(name)
    assert codec.same_convention(codecs.create(name, decoder="centroid"))
    others = [codecs.create(other) for other in codecs.names() if other != name]
    others += [codecs.create(name, (96, 128)), codecs.create(name, sigma=3.0)]
    for other in others:
        assert not codec.same_convention(other)
        assert not other.same_convention(codec)
        assert len(codec.differences(other)) == 1
    assert codec.differences(codecs.create(name, (96, 128), 3.0)) == [
        "input_size: (192, 256) and (96, 128)",
        "sigma: 2.0 and 3.0",
    ]


def test_a_cell_is_the_input_divided_by_the_heatmap():
    assert codecs.MSRA().cell_size == codecs.DARK().cell_size == (4.0, 4.0)
    assert codecs.UDP().cell_size == (191 / 47, 255 / 63)


@pytest.mark.parametrize(("sigma", "kernel"), [(2.0, 11), (3.0, 17), (0.5, 3), (2.5, 15)])
def test_dark_smooths_by_the_published_kernels(sigma, kernel):
    assert codecs.DARK(sigma=sigma).blur_kernel == kernel


def test_people_read_the_height_first():
    assert str(codecs.create("udp", (192, 256), 2.5, "centroid")) == "UDP(256x192, sigma 2.5, decoder centroid)"
    assert repr(codecs.create("udp", (192, 256))) == "UDP(input_size=(192, 256), sigma=2.0, decoder='peak')"
