"""Loaders: the same batches whatever reads them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch

from kdkit.errors import ConfigurationError
from kdkit_pose.codecs import MSRA
from kdkit_pose.data import Augment, CocoKeypoints, loader

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")


@pytest.fixture
def dataset(content: Any, person: Any, folder: Path) -> CocoKeypoints:
    persons = [person(id=i) for i in range(10, 21)]
    return CocoKeypoints(content(*persons), folder, codec=MSRA(input_size=(96, 128)), augment=Augment())


@pytest.fixture
def threads() -> Iterator[None]:
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)


def batches(dataset: CocoKeypoints, workers: int, epochs: int = 2) -> list[dict[str, torch.Tensor]]:
    reader = loader(dataset, batch_size=4, seed=3, shuffle=True, workers=workers)
    found = []
    for epoch in range(epochs):
        reader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        found += list(reader)
    return found


def assert_batches_equal(first: list[dict[str, torch.Tensor]], second: list[dict[str, torch.Tensor]]) -> None:
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_do_not_depend_on_workers(dataset: CocoKeypoints, workers: int) -> None:
    assert_batches_equal(batches(dataset, workers), batches(dataset, 0))


def test_samples_do_not_depend_on_order(dataset: CocoKeypoints) -> None:
    shuffled = {
        int(i): image for b in batches(dataset, 0, 1) for i, image in zip(b["id"], b["image"], strict=True)
    }
    for batch in loader(dataset, batch_size=3):
        for identity, image in zip(batch["id"], batch["image"], strict=True):
            assert torch.equal(shuffled[int(identity)], image)


def test_samples_do_not_depend_on_threads(dataset: CocoKeypoints, threads: None) -> None:
    cv2.setNumThreads(1)
    one = batches(dataset, 0)
    cv2.setNumThreads(4)
    assert_batches_equal(batches(dataset, 0), one)


def test_loader_leaves_the_global_generator_alone(dataset: CocoKeypoints) -> None:
    before = torch.get_rng_state()
    batches(dataset, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_resuming_inside_an_epoch_gives_the_rest_of_it(dataset: CocoKeypoints) -> None:
    whole = batches(dataset, 0, epochs=1)
    reader = loader(dataset, batch_size=4, seed=3, shuffle=True)
    reader.sampler.skip(4)  # type: ignore[attr-defined]
    assert_batches_equal(list(reader), whole[1:])


def test_last_batch_can_be_dropped(dataset: CocoKeypoints) -> None:
    assert [len(b["id"]) for b in loader(dataset, batch_size=4)] == [4, 4, 3]
    assert [len(b["id"]) for b in loader(dataset, batch_size=4, drop_last=True)] == [4, 4]


def test_wrong_arguments_are_errors(dataset: CocoKeypoints) -> None:
    with pytest.raises(ConfigurationError, match="batch size"):
        loader(dataset, batch_size=0)
