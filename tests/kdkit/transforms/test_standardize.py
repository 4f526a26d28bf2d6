import math

import pytest
import torch

from kdkit import BatchError, ConfigurationError
from kdkit.transforms import Standardize
from kdkit.transforms.standardize import IMAGENET_MEAN, IMAGENET_STD

HALF = ((0.5, 0.25, 0.5), (0.25, 0.5, 1.0))
IMAGENET = (IMAGENET_MEAN, IMAGENET_STD)


def images() -> torch.Tensor:
    return torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))


def test_of_a_plain_image_subtracts_the_mean_and_divides():
    mean, std = (torch.tensor(values)[:, None, None] for values in IMAGENET)
    torch.testing.assert_close(Standardize(*IMAGENET)(images()), (images() - mean) / std)


def test_goes_from_one_normalization_to_another_as_through_the_plain_image():
    between = Standardize(*IMAGENET, *HALF)
    torch.testing.assert_close(between(Standardize(*HALF)(images())), Standardize(*IMAGENET)(images()))


def test_exchanging_the_pairs_undoes_it():
    there, back = Standardize(*IMAGENET, *HALF), Standardize(*HALF, *IMAGENET)
    torch.testing.assert_close((there >> back)(images()), images())
    assert torch.equal(Standardize(*HALF, *HALF)(images()), images())


def test_a_mean_or_deviation_left_out_is_0_or_1():
    assert Standardize(*IMAGENET)(images()).equal(Standardize(*IMAGENET, (0, 0, 0), (1, 1, 1))(images()))
    assert Standardize(*IMAGENET, from_std=HALF[1])(images()).equal(
        Standardize(*IMAGENET, (0, 0, 0), HALF[1])(images())
    )


def test_bytes_become_floating():
    picture = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 1, 2)
    assert Standardize((127.5,), (127.5,))(picture).flatten().tolist() == [-1.0, 1.0]


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float64])
def test_keeps_the_floating_type_and_the_image(kind):
    image = images().to(kind)
    before = image.clone()
    assert Standardize(*IMAGENET)(image).dtype == kind
    assert torch.equal(image, before)


def test_lists_are_as_good_as_tuples():
    assert Standardize([0.5], [1]) == Standardize((0.5,), (1.0,))
    assert hash(Standardize([0.5], [1])) == hash(Standardize((0.5,), (1.0,)))


@pytest.mark.parametrize(
    "values",
    [
        ((), ()),
        ((0.5, 0.5), (1.0,)),
        ((0.5,), (0.0,)),
        ((math.nan,), (1.0,)),
        ((0.5,), (1.0,), (0.5, 0.5)),
        ((0.5,), (1.0,), (0.5,), (-1.0,)),
        ((0.5,), (1.0,), (0.5,), (math.inf,)),
    ],
    ids=str,
)
def test_bad_values_are_refused(values):
    with pytest.raises(ConfigurationError, match="Standardize"):
        Standardize(*values)


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 4, 4, 5)])
def test_other_images_are_refused(shape):
    with pytest.raises(BatchError, match=r"must be \[B, 3, H, W\]"):
        Standardize(*IMAGENET)(torch.zeros(shape))
