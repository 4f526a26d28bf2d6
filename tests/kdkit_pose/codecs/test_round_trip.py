"""Encode then decode returns the keypoints: the property every codec exists for."""

import numpy as np
import pytest
import torch

from kdkit.errors import ConfigurationError, DataError
from kdkit_pose import codecs
from kdkit_pose.codecs import Codec

SIZES = [((192, 256), 2.0), ((288, 384), 3.0), ((96, 128), 2.0)]
everywhere = pytest.mark.parametrize(("size", "sigma"), SIZES, ids=["256x192", "384x288", "128x96"])
every_codec = pytest.mark.parametrize("name", codecs.names())


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


@everywhere
def test_dark_errs_below_a_twentieth_of_an_input_pixel(size, sigma):
    codec = codecs.DARK(size, sigma)
    # Nearer to the border the smoothing sees beyond the map.
    error, scores = round_trip(codec, keypoints_inside(codec, margin=(codec.blur_kernel + 2) * codec.stride / 2))
    assert np.median(error) < 0.05
    assert error.max() < 0.2
    assert scores.min() > 0.9


@everywhere
def test_dark_stays_within_a_heatmap_pixel_up_to_the_border(size, sigma):
    codec = codecs.DARK(size, sigma)
    # The reference smooths with zeros beyond the border, which pushes what lies near it inwards.
    error, _ = round_trip(codec, keypoints_inside(codec, margin=2))
    assert error.max() <= codec.stride


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
        assert (keypoints >= -8).all()
        assert (keypoints <= torch.tensor(codec.input_size) + 4).all()
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
