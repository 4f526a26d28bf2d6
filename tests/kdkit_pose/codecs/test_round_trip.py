"""Encode then decode returns the keypoints: the property every codec exists for."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdkit.errors import ConfigurationError, DataError
from kdkit_pose import codecs
from kdkit_pose.codecs import Codec

SIZES = [((192, 256), 2.0), ((288, 384), 3.0), ((96, 128), 2.0)]
everywhere = pytest.mark.parametrize(("size", "sigma"), SIZES, ids=["256x192", "384x288", "128x96"])
every_codec = pytest.mark.parametrize("name", codecs.names())
unbiased = pytest.mark.parametrize("kind", [codecs.DARK, codecs.UDP])


def round_trip(codec: Codec, keypoints: np.ndarray) -> tuple[np.ndarray, torch.Tensor]:
    heatmap, weight = codec.encode(keypoints, np.ones(len(keypoints)))
    assert (weight == 1).all()
    points, scores = codec.decode(torch.from_numpy(heatmap)[None])
    return np.abs(points[0].numpy() - keypoints), scores[0]


def keypoints_inside(codec: Codec, margin: float, count: int = 400) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.uniform(margin, np.array(codec.input_size) - margin, size=(count, 2))


@everywhere
def test_msra_errs_by_half_a_heatmap_pixel_at_most(size, sigma):
    codec = codecs.MSRA(size, sigma)
    error, scores = round_trip(codec, keypoints_inside(codec, margin=2))
    assert error.max() <= codec.stride / 2 + 1e-4
    assert (scores == 1).all()


@unbiased
@everywhere
def test_unbiased_codecs_err_by_a_hundredth_of_an_input_pixel(kind, size, sigma):
    codec = kind(size, sigma)
    error, scores = round_trip(codec, keypoints_inside(codec, margin=(codec.blur_kernel + 4) * codec.stride / 2))
    assert np.median(error) < 0.005
    assert error.max() < 0.01
    assert scores.min() > 0.9


@unbiased
@everywhere
def test_unbiased_codecs_find_what_lies_at_the_border(kind, size, sigma):
    codec = kind(size, sigma)
    last = np.array(size) - 1.0
    points = keypoints_inside(codec, margin=0)
    # On all four sides, and in the corners, to the last pixel's centre.
    points = np.where(
        np.random.default_rng(1).random(points.shape) < 0.3, np.where(points > last / 2, last, 0), points
    )
    error, _ = round_trip(codec, np.minimum(points, last))
    assert np.median(error) < 0.02
    assert error.mean() < 0.1
    assert error.max() < 1.0


@unbiased
@pytest.mark.parametrize("outside", [0.25, 1.0, 1.75])
def test_up_to_two_cells_beyond_the_border_are_found_too(kind, outside):
    codec = kind(input_size=(96, 128))
    cells = np.array([[-outside, 15], [23 + outside, 15], [12, -outside], [12, 31 + outside]])
    error, scores = round_trip(codec, cells * codec.cell_size)
    assert error.max() < 1.0
    assert (scores > 0).all()


@given(
    name=st.sampled_from(["dark", "udp"]),
    size=st.tuples(st.integers(8, 40), st.integers(8, 40)),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
@settings(max_examples=60)
def test_unbiased_codecs_find_any_place_of_any_size(name, size, place):
    codec = codecs.create(name, (4 * size[0], 4 * size[1]))
    error, _ = round_trip(codec, np.array([place]) * (np.array(codec.input_size) - 1))
    assert error.max() < 1.0


@every_codec
def test_centroid_of_real_gaussians_finds_them_too(name):
    codec = codecs.create(name, decoder="centroid")
    error, _ = round_trip(codec, keypoints_inside(codec, margin=16))
    assert error.max() <= codec.stride / 2 + 0.3


@every_codec
def test_unlabelled_keypoints_have_no_target_whatever_their_place(name):
    heatmap, weight = codecs.create(name).encode([[np.nan, np.inf], [50, 60]], [0, 1])
    assert weight.tolist() == [0, 1]
    assert not heatmap[0].any()
    assert heatmap[1].max() > 0.9
    assert heatmap.dtype == weight.dtype == np.float32


@every_codec
@pytest.mark.parametrize(
    ("point", "weight"),
    [
        *[((-24, 100), 1), ((-32, 100), 0), ((212, 100), 1), ((220, 100), 0)],
        *[((100, -24), 1), ((100, -32), 0), ((100, 276), 1), ((100, 284), 0)],
    ],
)
def test_targets_wholly_outside_weigh_nothing(name, point, weight):
    heatmap, weights = codecs.create(name).encode([point], [1])
    assert weights.tolist() == [weight]
    assert heatmap.any() == bool(weight)


@every_codec
@pytest.mark.parametrize("decoder", ["peak", "centroid"])
class TestMapsThatNoEncoderMade:
    def test_half_precision_is_decoded_in_single(self, name, decoder):
        codec = codecs.create(name, decoder=decoder)
        heatmap = torch.rand(2, 3, 64, 48, generator=torch.Generator().manual_seed(0)).half()
        for half, single in zip(codec.decode(heatmap), codec.decode(heatmap.float()), strict=True):
            assert half.dtype == torch.float32
            assert torch.equal(half, single)

    def test_autocast_does_not_reach_the_decoding(self, name, decoder):
        codec = codecs.create(name, decoder=decoder)
        heatmap = torch.rand(2, 3, 64, 48, generator=torch.Generator().manual_seed(0))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = codec.decode(heatmap)
        for cast, plain in zip(found, codec.decode(heatmap), strict=True):
            assert cast.dtype == torch.float32
            assert torch.equal(cast, plain)

    def test_maps_without_a_positive_value_score_nothing(self, name, decoder):
        heatmap = torch.stack([torch.zeros(64, 48), -torch.ones(64, 48)])[None]
        keypoints, scores = codecs.create(name, decoder=decoder).decode(heatmap)
        assert scores.tolist() == [[0, 0]]
        assert keypoints.isfinite().all()

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    def test_maps_that_are_not_finite_score_nothing_and_spoil_no_other(self, name, decoder, value):
        codec = codecs.create(name, decoder=decoder)
        heatmap = torch.rand(1, 2, 64, 48, generator=torch.Generator().manual_seed(0))
        sound = codec.decode(heatmap)
        heatmap[0, 0, 5, 6] = value
        keypoints, scores = codec.decode(heatmap)
        assert scores[0, 0] == 0
        assert keypoints.isfinite().all()
        assert torch.equal(keypoints[0, 1], sound[0][0, 1])
        assert scores[0, 1] == sound[1][0, 1]

    def test_noise_gives_places_in_the_input(self, name, decoder):
        codec = codecs.create(name, decoder=decoder)
        heatmap = torch.randn(4, 17, 64, 48, generator=torch.Generator().manual_seed(0)) * 100
        keypoints, scores = codec.decode(heatmap)
        cells = keypoints / torch.tensor(codec.cell_size)
        # A step of at most two cells from a cell of the map.
        assert (cells >= -2.001).all()
        assert (cells <= torch.tensor(codec.heatmap_size) + 1.001).all()
        assert torch.equal(scores, heatmap.amax((-2, -1)))

    def test_other_sizes_are_refused(self, name, decoder):
        with pytest.raises(ConfigurationError, match=r"64, 48.*found \(1, 17, 32, 24\)"):
            codecs.create(name, decoder=decoder).decode(torch.zeros(1, 17, 32, 24))


@every_codec
def test_broken_keypoints_are_refused(name):
    codec = codecs.create(name)
    with pytest.raises(DataError, match="keypoint 1 is labelled"):
        codec.encode([[1, 2], [np.nan, 3]], [1, 1])
    with pytest.raises(DataError, match=r"\[K, 2\]"):
        codec.encode([[1, 2, 2]], [1])
    with pytest.raises(DataError, match=r"visible \[K\]"):
        codec.encode([[1, 2]], [1, 1])
