"""Packed persons are the samples of the data set that was packed."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import Subset, default_collate

from kdkit.errors import ConfigurationError
from kdkit_pose.codecs import DARK, MSRA, UDP
from kdkit_pose.data import Augment, CocoKeypoints, PackedKeypoints, PoseDataset, loader

VIEWS = 6
WILD = Augment(half_body_probability=0.5, half_body_minimum=4, scale_factor=0.5, rotation_probability=0.8)


def prepared(data: PoseDataset, row: int, view: int) -> dict[str, torch.Tensor]:
    """A sample as it is learned from, without the batch's axis."""
    sample = data[row, view]
    if data.prepare is None:
        return sample
    batch = data.prepare({name: value[None] for name, value in sample.items()})
    return {name: value[0] for name, value in batch.items() if name != "labelled"}


def levels(sample: dict[str, torch.Tensor]) -> torch.Tensor:
    """The image [3, H, W] in levels of 0 to 255, but for an offset."""
    return sample["image"] * torch.tensor([0.229, 0.224, 0.225])[:, None, None] * 255


@pytest.mark.parametrize("codec", [DARK((48, 64)), UDP((48, 64)), MSRA((32, 48), sigma=1.5)], ids=str)
@pytest.mark.parametrize("augment", [None, Augment(), WILD], ids=["still", "usual", "wild"])
def test_same_samples_as_unpacked(tiny_people: Any, packed: Any, codec: Any, augment: Augment | None) -> None:
    data = tiny_people(codec=codec, augment=augment, seed=5, cache_images=True)
    # More than any crop needs, so that no pixel is lost.
    read = PackedKeypoints(packed(data, augment=augment, oversample=100), codec=codec, augment=augment, seed=5)
    assert len(read) == len(data) > 6
    assert read.annotation_ids == data.annotation_ids
    assert read.image_ids == data.image_ids
    assert read.own_masks == data.own_masks
    assert read.skeleton == data.skeleton
    assert read.convention == data.convention
    assert str(read.skipped) == str(data.skipped)
    off_by_one = []
    for row in range(len(data)):
        for view in range(VIEWS):
            expected, found = data[row, view], prepared(read, row, view)
            assert found.keys() == expected.keys()
            np.testing.assert_array_equal(read.matrix(row, view), data.matrix(row, view))
            for name in expected.keys() - {"image", "mask", "heatmap"}:
                assert found[name].dtype == expected[name].dtype, name
                assert torch.equal(found[name], expected[name]), name
            torch.testing.assert_close(found["heatmap"], expected["heatmap"], rtol=0, atol=1e-6)
            # The map's rounding differs in its last bit: at most a level, and rarely.
            difference = (levels(found) - levels(expected)).abs()
            assert difference.max() < 1.01
            off_by_one.append(float((difference > 0.5).float().mean()))
            assert (found["mask"] - expected["mask"]).abs().max() < 2 / 255
    assert np.mean(off_by_one) < 1e-3


def test_large_crops_are_reduced_and_keep_their_place(tiny_people: Any, packed: Any) -> None:
    codec = DARK((24, 32))
    data = tiny_people(codec=codec, augment=Augment(), cache_images=True)
    fine = packed(data, oversample=100)
    coarse = packed(data, oversample=2.0)
    size = {path: sum(shard.stat().st_size for shard in path.glob("shard-*")) for path in (fine, coarse)}
    assert size[coarse] < 0.7 * size[fine]
    read = PackedKeypoints(coarse, codec=codec, augment=Augment())
    errors, moved, masks = [], [], []
    for row in range(len(data)):
        for view in range(VIEWS):
            expected, found = prepared(data, row, view), prepared(read, row, view)
            assert torch.equal(found["keypoints"], expected["keypoints"])
            errors.append(float((levels(found) - levels(expected)).abs().mean()))
            shifted = levels(expected).roll(1, dims=-1)
            moved.append(float((levels(found) - shifted).abs().mean()))
            masks.append(float((found["mask"] - expected["mask"]).abs().mean()))
    # Half of the pixels along each axis were given up, mostly noise of pictures sampled without any mean.
    assert np.mean(errors) < 0.25 * np.mean(moved)
    assert np.mean(errors) < 4
    assert np.mean(masks) < 0.02


def test_persons_without_a_segmentation_have_a_mask_of_ones(
    content: Any, person: Any, draw: Any, packed: Any
) -> None:
    data = CocoKeypoints(content(person(), person(id=8, segmentation=None)), draw, codec=DARK((96, 128)))
    read = PackedKeypoints(packed(data), codec=data.codec)
    assert read.own_masks == data.own_masks == (True, False)
    batch = read.__getitems__([0, 1]).fields
    assert (batch["mask"][1] == 255).all()
    assert 0 < batch["mask"][0].float().mean() < 200
    assert "mask" not in PackedKeypoints(read.path, codec=data.codec, masks=False)[0]
    assert not PackedKeypoints(read.path, codec=data.codec, masks=False).has_masks


def test_without_masks_there_are_none(tiny_people: Any, packed: Any) -> None:
    data = tiny_people(masks=False)
    read = PackedKeypoints(packed(data), codec=data.codec)
    assert prepared(read, 0, 0).keys() == data[0].keys()
    with pytest.raises(ConfigurationError, match="packed without masks"):
        PackedKeypoints(read.path, codec=data.codec, masks=True)


def test_unlabelled_persons_and_boxes_beside_the_picture(
    content: Any, person: Any, draw: Any, packed: Any
) -> None:
    boxes = [
        {"image_id": 3, "category_id": 1, "bbox": box, "score": 0.5}
        for box in ([130, 20, 180, 320], [900, 900, 50, 90], [-300, 10, 40, 100], [-30, -30, 500, 500])
    ]
    data = CocoKeypoints(
        {"images": content()["images"]}, draw, codec=DARK((96, 128)), boxes=boxes, unlabelled="keep", augment=WILD
    )
    read = PackedKeypoints(packed(data, augment=WILD), codec=data.codec, augment=WILD)
    for row in range(len(boxes)):
        expected, found = data[row, 1], prepared(read, row, 1)
        for name in ("id", "keypoints", "visible", "heatmap", "box_score", "center"):
            assert torch.equal(found[name], expected[name]), name
        assert (levels(found) - levels(expected)).abs().mean() < 2
    still = CocoKeypoints({"images": content()["images"]}, draw, codec=DARK((96, 128)), boxes=boxes)
    read = PackedKeypoints(packed(still), codec=still.codec)
    assert prepared(read, 2, 0).keys() == still[2].keys()


def test_a_batch_is_its_samples(tiny_people: Any, packed: Any) -> None:
    data = tiny_people(augment=Augment())
    read = PackedKeypoints(packed(data), codec=data.codec, augment=Augment())
    pairs = [(3, 1), (0, 2), -1]
    samples = read.__getitems__(pairs)
    for place, pair in enumerate(pairs):
        alone = read[pair]
        assert samples[place].keys() == alone.keys()
        assert all(torch.equal(value, alone[name]) for name, value in samples[place].items())
    collated = default_collate(samples)
    assert all(torch.equal(value, collated[name]) for name, value in samples.fields.items())
    with pytest.raises(IndexError):
        read[len(read)]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_gives_whole_batches(tiny_people: Any, packed: Any, workers: int) -> None:
    data = tiny_people(augment=Augment())
    read = PackedKeypoints(packed(data), codec=data.codec, augment=Augment())
    batches = loader(read, 4, seed=1, shuffle=True, workers=workers)
    batches.sampler.set_epoch(2)
    reference = loader(data, 4, seed=1, shuffle=True)
    reference.sampler.set_epoch(2)
    for found, expected in zip(batches, reference, strict=True):
        assert found["image"].dtype == torch.uint8
        assert found["image"].shape == expected["image"].shape
        assert torch.equal(found["id"], expected["id"])
        assert torch.equal(found["view"], expected["view"])
        assert torch.equal(read.prepare(found)["keypoints"], expected["keypoints"])
    part = loader(Subset(read, [0, 2]), 2)
    assert [batch["id"].tolist() for batch in loader_without_views(part)] == [
        [read.annotation_ids[0], read.annotation_ids[2]]
    ]


def loader_without_views(batches: Any) -> Any:
    """A subset takes plain indices."""
    return torch.utils.data.DataLoader(batches.dataset, batch_size=2, collate_fn=batches.collate_fn)


def test_travels_to_workers_without_pixels(tiny_people: Any, packed: Any) -> None:
    data = tiny_people(augment=Augment())
    read = PackedKeypoints(packed(data), codec=data.codec, augment=Augment(), seed=4)
    read[0]
    there = pickle.dumps(read)
    assert len(there) < 2000
    again = pickle.loads(there)
    assert all(torch.equal(value, again[2, 1][name]) for name, value in read[2, 1].items())
    assert again.fingerprint() == read.fingerprint()


def test_another_convention_may_be_read_but_no_larger_input(tiny_people: Any, packed: Any) -> None:
    data = tiny_people(codec=DARK((48, 64)))
    path = packed(data)
    for codec in (UDP((48, 64)), MSRA((24, 32), sigma=1.0)):
        expected, found = tiny_people(codec=codec), PackedKeypoints(path, codec=codec)
        assert torch.equal(prepared(found, 0, 0)["keypoints"], expected[0]["keypoints"])
        torch.testing.assert_close(prepared(found, 0, 0)["heatmap"], expected[0]["heatmap"], rtol=0, atol=1e-6)
    for size in ((96, 128), (64, 64)):
        with pytest.raises(ConfigurationError, match="packed for inputs of 64x48"):
            PackedKeypoints(path, codec=DARK(size))


@pytest.mark.parametrize(
    "asked",
    [
        Augment(scale_factor=0.3),
        Augment(rotation_factor=40, scale_factor=0.2),
        Augment(half_body_minimum=6, scale_factor=0.2, rotation_factor=30),
    ],
    ids=["zoom", "rotation", "half body"],
)
def test_variations_need_their_room(tiny_people: Any, packed: Any, asked: Augment) -> None:
    room = Augment(scale_factor=0.2, rotation_factor=30, half_body_minimum=8)
    path = packed(tiny_people(), augment=room)
    codec = DARK((32, 32))
    PackedKeypoints(path, codec=codec, augment=Augment(scale_factor=0.1, rotation_factor=10, flip_probability=1))
    with pytest.raises(ConfigurationError, match="without the room"):
        PackedKeypoints(path, codec=codec, augment=asked)
    still = packed(tiny_people(), augment=None)
    with pytest.raises(ConfigurationError, match="half_body_probability"):
        PackedKeypoints(still, codec=codec, augment=room)
    PackedKeypoints(still, codec=codec, augment=Augment(0, 8, 0, 0, 0, 1))


def test_fingerprint_changes_with_all_that_samples_depend_on(
    tiny_people: Callable[..., CocoKeypoints], packed: Any
) -> None:
    data = tiny_people()
    path = packed(data)

    def fingerprint(path: Any = path, **changes: Any) -> str:
        return PackedKeypoints(path, **{"codec": data.codec, "augment": Augment(), **changes}).fingerprint()

    others = [
        fingerprint(seed=1),
        fingerprint(augment=None),
        fingerprint(codec=MSRA((32, 32))),
        fingerprint(masks=False),
        fingerprint(packed(data, oversample=1.0)),
        fingerprint(packed(tiny_people(drawing=2))),
        data.fingerprint(),
    ]
    assert len({fingerprint(), *others}) == len(others) + 1
    assert fingerprint(packed(tiny_people(seed=9, augment=Augment()))) == fingerprint()
    assert fingerprint(codec=DARK((32, 32), decoder="centroid")) == fingerprint()
