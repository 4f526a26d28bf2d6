"""A batch's targets, made by torch or written to their place, are those of its persons one by one."""

import numpy as np
import pytest
import torch

from kdkit.errors import DataError
from kdkit_pose import codecs
from kdkit_pose.codecs import Codec

CODECS = [
    codecs.create(name, size, sigma)
    for name in codecs.names()
    for size, sigma in [((192, 256), 2.0), ((96, 128), 1.5), ((288, 384), 3.0)]
]
every_codec = pytest.mark.parametrize("codec", CODECS, ids=str)


def keypoints_about(codec: Codec, persons: int = 12, joints: int = 17) -> tuple[torch.Tensor, torch.Tensor]:
    """Keypoints within, at the border of and outside of the input, and which are labelled."""
    rng = np.random.default_rng(0)
    width, height = codec.input_size
    spread = 8 * codec.sigma * codec.stride
    points = rng.uniform([-spread, -spread], [width + spread, height + spread], size=(persons, joints, 2))
    reach = 3 * codec.sigma * codec.stride
    for row, x in enumerate([0.0, width - 1.0, -0.5, width, -reach, -reach - 0.01, width + reach, -2.0]):
        points[row, 0] = x, height / 2
        points[row, 1] = width / 3, x * height / width
    # Halves of cells, which the plain codec rounds.
    points[8] = codec.stride * (rng.integers(-2, 20, size=(joints, 2)) + 0.5)
    return torch.from_numpy(points), torch.from_numpy(rng.random((persons, joints)) < 0.8)


@every_codec
@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
def test_equals_encode_person_by_person(codec: Codec, kind: torch.dtype) -> None:
    points, labelled = keypoints_about(codec)
    points = points.to(kind)
    heatmap, weight = codec.encode_batch(points, labelled)
    assert heatmap.dtype == weight.dtype == torch.float32
    expected = [codec.encode(*person) for person in zip(points.numpy(), labelled.numpy(), strict=True)]
    np.testing.assert_array_equal(weight, [weight for _, weight in expected])
    np.testing.assert_allclose(heatmap, [heatmap for heatmap, _ in expected], rtol=0, atol=1e-6)
    outside = int((labelled & (weight == 0)).sum())
    assert outside > 5
    assert int(weight.sum()) > 50


@every_codec
def test_what_is_written_into_arrays_is_what_encode_returns(codec: Codec) -> None:
    points, labelled = (part.numpy() for part in keypoints_about(codec))
    for person in zip(points, labelled, strict=True):
        heatmap, weight = codec.encode(*person)
        place, other = np.full_like(heatmap, np.nan), np.full_like(weight, np.nan)
        codec.encode_into(*person, place, other)
        np.testing.assert_array_equal(place, heatmap)
        np.testing.assert_array_equal(other, weight)


def test_what_is_not_finite_or_not_labelled_weighs_nothing() -> None:
    points = torch.tensor([[[float("nan"), 3.0], [float("inf"), 3.0], [20.0, 20.0], [20.0, 20.0]]])
    for codec in CODECS:
        heatmap, weight = codec.encode_batch(points, torch.tensor([[2, 1, 0, 1]]))
        assert weight.tolist() == [[0, 0, 0, 1]]
        assert (heatmap[0, :3] == 0).all()
        assert heatmap[0, 3].max() > 0.5


def test_another_codec_has_its_own_encode_called_for_each_person() -> None:
    class Shifted(codecs.DARK):
        encode_batch = Codec.encode_batch

        def encode(self, keypoints, visible):
            return super().encode(np.asarray(keypoints) + 4, visible)

    points, labelled = keypoints_about(codecs.DARK())
    heatmap, weight = Shifted().encode_batch(points, labelled)
    expected, expected_weight = codecs.DARK().encode_batch(points + 4, labelled)
    torch.testing.assert_close(heatmap, expected, rtol=0, atol=1e-6)
    assert torch.equal(weight, expected_weight)
    place = np.empty((17, 64, 48), dtype=np.float32), np.empty(17, dtype=np.float32)
    Shifted().encode_into(points[0].numpy(), labelled[0].numpy(), *place)
    np.testing.assert_allclose(place[0], expected[0], atol=1e-6)


@pytest.mark.parametrize(("points", "labelled"), [((2, 17, 3), (2, 17)), ((2, 17, 2), (2, 16)), ((17, 2), (17,))])
def test_shapes_that_do_not_fit_are_refused(points: tuple[int, ...], labelled: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"keypoints \[B, K, 2\]"):
        codecs.DARK().encode_batch(torch.zeros(points), torch.ones(labelled))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_device_is_not_waited_for() -> None:
    points, labelled = (value.cuda() for value in keypoints_about(CODECS[0]))
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        maps = [codec.encode_batch(points, labelled) for codec in CODECS]
    finally:
        torch.cuda.set_sync_debug_mode(before)
    for codec, (heatmap, _) in zip(CODECS, maps, strict=True):
        expected, _ = codec.encode_batch(points.cpu(), labelled.cpu())
        torch.testing.assert_close(heatmap.cpu(), expected, rtol=0, atol=1e-6)
