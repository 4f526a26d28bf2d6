"""The flip test: maps of a mirrored image, brought back, say what the image's own maps say."""

import numpy as np
import pytest
import torch

from kdkit.errors import ConfigurationError
from kdkit_pose import codecs
from kdkit_pose.geometry import apply_affine
from kdkit_pose.skeleton import COCO

every_codec = pytest.mark.parametrize("name", codecs.names())


def mirror(keypoints: np.ndarray, width: int) -> np.ndarray:
    """Keypoints [K, 2] of the mirrored image: pixel x becomes pixel width - 1 - x, left becomes right."""
    mirrored = keypoints[list(COCO.flip_permutation)].copy()
    mirrored[:, 0] = width - 1 - mirrored[:, 0]
    return mirrored


# UDP needs no shift, and so has no column to be filled.
shifting = pytest.mark.parametrize("name", [name for name in codecs.names() if codecs.create(name).unflip_shift])


@pytest.mark.parametrize("size", [(192, 256), (96, 128), (288, 384)])
def test_udp_mirrors_exactly(size):
    codec = codecs.UDP(input_size=size)
    # Also beyond the border.
    keypoints = np.random.default_rng(0).uniform(-8, np.array(size) + 8, size=(17, 2))
    heatmap, weight = codec.encode(keypoints, np.ones(17))
    mirrored, mirrored_weight = codec.encode(mirror(keypoints, width=size[0]), np.ones(17))
    assert torch.allclose(codec.unflip(torch.from_numpy(mirrored)[None], COCO)[0], torch.from_numpy(heatmap))
    assert np.array_equal(mirrored_weight[list(COCO.flip_permutation)], weight)


def test_udp_cuts_a_mirrored_picture_into_the_mirrored_input():
    codec, width = codecs.UDP(), 320
    center, scale = np.array([100.0, 120.0]), np.array([150.0, 200.0])
    points = np.random.default_rng(0).uniform(0, 200, size=(9, 2))
    flip = np.array([[-1.0, 0, width - 1], [0, 1, 0]])
    seen = apply_affine(codec.affine(apply_affine(flip, center), scale), apply_affine(flip, points))
    mirrored = apply_affine(codec.affine(center, scale), points)
    assert np.allclose(seen, np.column_stack([codec.input_size[0] - 1 - mirrored[:, 0], mirrored[:, 1]]))


@shifting
def test_maps_of_mirrored_keypoints_come_back_to_the_keypoints(name):
    codec = codecs.create(name)
    keypoints = np.random.default_rng(0).uniform(40, [152, 216], size=(17, 2))
    heatmap, _ = codec.encode(mirror(keypoints, width=192), np.ones(17))
    found, _ = codec.decode(codec.unflip(torch.from_numpy(heatmap)[None], COCO))
    difference = found[0].numpy() - keypoints
    # One whole cell of shift stands for 3/4: a quarter of a cell remains, and for MSRA the rounding to a
    # cell.
    assert np.abs(difference[:, 1]).max() < (0.1 if name == "dark" else 2.1)
    assert np.abs(difference[:, 0] - 1).max() < (0.1 if name == "dark" else 2.1)


class PointSampler(torch.nn.Module):
    """A symmetrical network of stride 4: each map is its channel of the image, read at every fourth pixel."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image[..., ::4, ::4]


@shifting
def test_a_symmetrical_network_gives_identical_maps(name):
    codec = codecs.create(name)
    # Mirrored, the network reads pixel 4j + 3 where it reads 4j: images that are alike at 4j - 1 and 4j leave
    # no doubt.
    cells = torch.rand(2, 17, 64, 49, generator=torch.Generator().manual_seed(0))
    image = cells.repeat_interleave(4, dim=-1).repeat_interleave(4, dim=-2)[..., 2:194]
    mirrored = image.flip(-1)[:, list(COCO.flip_permutation)]
    network = PointSampler()
    found = codec.unflip(network(mirrored), COCO)
    # The first column has nothing to be moved in from.
    assert torch.equal(found[..., 1:], network(image)[..., 1:])
    assert found.shape == network(image).shape


@shifting
def test_first_column_keeps_its_value_as_in_the_reference(name):
    heatmap = torch.rand(1, 17, 64, 48, generator=torch.Generator().manual_seed(0))
    found = codecs.create(name).unflip(heatmap, COCO)
    assert torch.equal(found[..., 0], heatmap[:, list(COCO.flip_permutation)][..., -1])


@every_codec
def test_input_is_left_alone_and_wrong_skeletons_are_refused(name):
    heatmap = torch.rand(1, 17, 64, 48, generator=torch.Generator().manual_seed(0))
    before = heatmap.clone()
    codecs.create(name).unflip(heatmap, COCO)
    assert torch.equal(heatmap, before)
    with pytest.raises(ConfigurationError, match="coco"):
        codecs.create(name).unflip(heatmap[:, :14], COCO)
