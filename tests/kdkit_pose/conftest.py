from collections.abc import Callable, Iterator

import pytest
import torch

from kdkit_pose import CocoKeypoints, Evaluator, MaskAwareTeacher, SyntheticPeople, loader, models
from kdkit_pose.codecs import DARK, Codec
from kdkit_pose.models import PoseHRNet


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Tiny tensors are faster without threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def small_network() -> Callable[..., PoseHRNet]:
    """Makes the smallest network there is, of given random weights."""

    def make(seed: int = 0, **options: object) -> PoseHRNet:
        torch.manual_seed(seed)
        return models.create("hrnet_w8_small", **options)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def tiny_teacher(small_network: Callable[..., PoseHRNet]) -> Callable[..., MaskAwareTeacher]:
    """Makes a teacher of the smallest network."""

    def make(name: str, mask_fusion: str = "none") -> MaskAwareTeacher:
        return MaskAwareTeacher(name, small_network(len(name), mask_fusion=mask_fusion))

    return make


@pytest.fixture(scope="session")
def tiny_people() -> Callable[..., CocoKeypoints]:
    """Makes a data set of a few synthetic people in memory; ``wrap`` goes around what draws the pictures."""

    def make(
        drawing: int = 1,
        pictures: int = 6,
        codec: Codec | None = None,
        wrap: Callable | None = None,
        **options: object,
    ) -> CocoKeypoints:
        people = SyntheticPeople(pictures, seed=drawing, size=(128, 96))
        source = wrap(people.picture) if wrap else people.picture
        codec = codec or DARK(input_size=(32, 32))
        return CocoKeypoints(people.annotations(), source, codec=codec, **options)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def tiny_evaluator(tiny_people: Callable[..., CocoKeypoints]) -> Evaluator:
    data = tiny_people(drawing=2, pictures=2)
    return Evaluator(loader(data, 8), data.coco_dict(), data.codec, flip=False)
