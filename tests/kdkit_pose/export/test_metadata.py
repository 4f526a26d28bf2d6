"""What the metadata says is true: it suffices to run a network without kdkit."""

import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

from kdkit_pose import codecs
from kdkit_pose.codecs import DARK, Codec
from kdkit_pose.data.normalize import normalize
from kdkit_pose.evaluation.predict import predict_heatmap
from kdkit_pose.export import describe_decoding, describe_preprocessing, usage_metadata
from kdkit_pose.geometry import box_to_center_scale
from kdkit_pose.skeleton import COCO

from . import without_kdkit

CODECS = [
    codecs.create(name, size, sigma, decoder)
    for name in codecs.names()
    for size, sigma in (((192, 256), 2.0), ((96, 128), 1.5), ((288, 384), 3.0))
    for decoder in ("peak", "centroid")
]


def noisy_people(codec, seed):
    """Heatmaps [1, 12, h, w] of keypoints anywhere in the input, four at its border, with a little noise."""
    random = np.random.default_rng(seed)
    width, height = codec.input_size
    points = random.uniform((0, 0), (width - 1, height - 1), size=(12, 2))
    points[:4] = [(0, 0), (width - 1, height / 2), (width / 2, height - 1), (2, 5)]
    heatmap, _ = codec.encode(points, np.ones(12))
    smooth = np.kron(random.normal(size=(12, *(side // 4 for side in heatmap.shape[1:]))), np.ones((4, 4)))
    return torch.from_numpy((heatmap + 0.02 * smooth).astype(np.float32))[None]


@pytest.mark.parametrize("codec", CODECS, ids=str)
def test_the_description_decodes_as_the_codec_does(codec):
    decoding = json.loads(usage_metadata(codec, COCO)["decoding"])
    heatmap = noisy_people(codec, seed=1)
    keypoints, scores = codec.decode(heatmap)
    for map_, point, score in zip(heatmap[0].numpy(), keypoints[0].numpy(), scores[0].numpy(), strict=True):
        found, height = without_kdkit.decode(map_, decoding)
        np.testing.assert_allclose(found, point, atol=0.02)
        assert height == score


@pytest.mark.parametrize("codec", CODECS, ids=str)
@pytest.mark.parametrize("box", [(40.0, 30.0, 60.0, 150.0), (10.0, 80.0, 170.0, 50.0)])
def test_the_description_makes_the_input_as_the_data_do(codec, box):
    picture = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8).repeat(12, 0).repeat(12, 1)
    metadata = usage_metadata(codec, COCO)
    image, matrix = without_kdkit.crop(picture, box, json.loads(metadata["preprocessing"]))
    center, scale = box_to_center_scale(box, codec.input_size[0] / codec.input_size[1])
    np.testing.assert_allclose(matrix, codec.affine(center, scale), atol=1e-9)
    pixels, _ = without_kdkit.crop(
        picture, box, json.loads(usage_metadata(codec, COCO, pixels=True)["preprocessing"])
    )
    np.testing.assert_allclose(image, normalize(pixels), atol=1e-5)


@pytest.mark.parametrize("codec", CODECS, ids=str)
def test_the_flip_shift_is_the_codecs(codec):
    decoding = json.loads(usage_metadata(codec, COCO)["decoding"])
    width, height = codec.heatmap_size
    heatmap = torch.rand(1, 17, height, width, generator=torch.Generator().manual_seed(0))
    mirrored = heatmap[:, list(COCO.flip_permutation)].flip(-1)
    shift = decoding["unflip_shift"]
    expected = (heatmap[..., shift:] + mirrored[..., : width - shift]) / 2
    image = torch.zeros(1, 3, *codec.input_size[::-1])
    found = predict_heatmap(lambda image: heatmap, [image], codec)
    torch.testing.assert_close(found[..., shift:], expected)


@pytest.mark.parametrize("codec", CODECS, ids=str)
def test_the_words_hold_the_numbers(codec):
    metadata = usage_metadata(codec, COCO)
    words, numbers = metadata["decoding_description"].replace("\n", " "), json.loads(metadata["decoding"])
    assert f"[{numbers['heatmap_size'][1]} rows, {numbers['heatmap_size'][0]} columns]" in words
    assert f"x times {numbers['cell_size'][0]:.9g}" in words
    assert ("move the maps" in words) == (numbers["unflip_shift"] > 0)
    if "blur_kernel" in numbers:
        assert f"{numbers['blur_kernel']} x {numbers['blur_kernel']} cells" in words
        assert f"deviation {numbers['blur_sigma']:.9g}" in words
        assert f"(2 {numbers['border_sigma']:.9g}^2)" in words
        assert f"repeat it {numbers['border_rounds']} times" in words
    assert all(isinstance(value, str) for value in metadata.values())
    assert max(map(len, words.split(". "))) < 1200


def test_each_decoding_is_described_differently():
    described = [describe_decoding(codec) for codec in CODECS if codec.sigma == 2.0]
    rules = {text.split("The position")[1].split("In pixels")[0] for text in described}
    assert len(rules) == len(codecs.names()) + 1  # and the centroid, whatever the codec


def test_pixels_need_no_normalisation():
    codec = DARK(input_size=(96, 128))
    assert "mean (0.485" in describe_preprocessing(codec).replace("\n", " ")
    text = describe_preprocessing(codec, pixels=True).replace("\n", " ")
    assert "uint8 [batch, 128, 96, 3]" in text
    assert "mean" not in text


def test_a_mask_is_described_where_the_network_reads_one():
    for pixels in (False, True):
        metadata = usage_metadata(DARK(input_size=(96, 128)), COCO, pixels=pixels, mask=True)
        assert json.loads(metadata["preprocessing"])["mask"]["range"] == [0, 1]
        words = metadata["preprocessing_description"].replace("\n", " ")
        assert "`mask`" in words
        assert "float32 [batch, 1, 128, 96]" in words
    without = usage_metadata(DARK(input_size=(96, 128)), COCO)
    assert "mask" not in without["preprocessing"] + without["preprocessing_description"]


@dataclass(frozen=True)
class Own(Codec):  # a codec of the user's own
    """Finds the point by magic.

    And more.
    """

    name: ClassVar[str] = "own"

    def encode(self, keypoints, visible):
        raise NotImplementedError

    def _decode_peaks(self, heatmap):
        raise NotImplementedError


def test_a_codec_of_ones_own_says_what_its_class_says():
    text = describe_decoding(Own(input_size=(96, 128))).replace("\n", " ")
    assert "Own: Finds the point by magic." in text
    assert "And more" not in text
