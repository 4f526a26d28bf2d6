"""Samples: their fields, and that picture, mask and keypoints move together."""

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from torch.utils.data import default_collate

from kdkit.sampling import sample_generator
from kdkit_pose.codecs import DARK, MSRA, Codec
from kdkit_pose.data import Augment, CocoKeypoints, denormalize
from kdkit_pose.geometry import apply_affine, box_to_center_scale, clip_box
from kdkit_pose.skeleton import COCO

VIEWS = 24


def assert_samples_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert value.dtype == second[name].dtype, name
        assert torch.equal(value, second[name]), name


def test_fields_shapes_and_types(content: Any, draw: Any) -> None:
    sample = CocoKeypoints(content(), draw, codec=MSRA())[0]
    assert {name: (tuple(value.shape), value.dtype) for name, value in sample.items()} == {
        "image": ((3, 256, 192), torch.float32),
        "mask": ((1, 256, 192), torch.float32),
        "heatmap": ((17, 64, 48), torch.float32),
        "visible": ((17,), torch.float32),
        "keypoints": ((17, 2), torch.float32),
        "id": ((), torch.int64),
        "view": ((), torch.int64),
        "image_id": ((), torch.int64),
        "center": ((2,), torch.float64),
        "scale": ((2,), torch.float64),
        "box_score": ((), torch.float32),
    }
    assert (sample["id"], sample["view"], sample["image_id"], sample["box_score"]) == (7, 0, 3, 1)
    batch = default_collate([sample, sample])
    assert all(batch[name].shape == (2, *value.shape) for name, value in sample.items())
    assert all(batch[name].dtype == value.dtype for name, value in sample.items())


def test_without_augmentation_the_crop_is_the_boxs(content: Any, person: Any, draw: Any) -> None:
    sample = CocoKeypoints(content(), draw, codec=MSRA())[0, 9]
    center, scale = box_to_center_scale(clip_box(person()["bbox"], 400, 360), 192 / 256)
    np.testing.assert_array_equal(sample["center"], center)
    np.testing.assert_array_equal(sample["scale"], scale)
    points = np.reshape(person()["keypoints"], (-1, 3))[:, :2]
    expected = apply_affine(MSRA().affine(center, scale), points)
    np.testing.assert_allclose(sample["keypoints"], expected, atol=1e-4)


@pytest.mark.parametrize("codec", [MSRA(), DARK(input_size=(96, 128))], ids=repr)
def test_keypoints_move_with_the_picture(content: Any, draw: Any, colours: np.ndarray, codec: Codec) -> None:
    dataset = CocoKeypoints(content(), draw, codec=codec, augment=Augment())
    width, height = codec.input_size
    y, x = np.mgrid[:height, :width]
    checked = {True: 0, False: 0}
    for view in range(VIEWS):
        sample = dataset[0, view]
        image = denormalize(sample["image"].numpy()).astype(np.float64)
        flip = Augment().draw(sample_generator(0, 7, view)).flip
        radius = 8 * width / float(sample["scale"][0])
        for joint, point in enumerate(sample["keypoints"].numpy()):
            # In a mirror, what was the right wrist is the left one.
            colour = colours[COCO.flip_permutation[joint] if flip else joint]
            near = np.hypot(x - point[0], y - point[1]) < radius + 1
            if not (radius + 1 < point[0] < width - radius - 2 and radius + 1 < point[1] < height - radius - 2):
                continue
            weight = np.where(near, image.sum(axis=2), 0)
            centroid = np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()
            np.testing.assert_allclose(centroid, point, atol=0.25)
            core = np.hypot(x - point[0], y - point[1]) < max(1, radius / 2)
            if radius > 4:
                assert np.abs(image[core] - colour).max() <= 3
            checked[flip] += 1
    assert min(checked.values()) > 30, "too few keypoints were inside of the crops to prove anything"


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_mask_moves_with_the_picture(content: Any, person: Any) -> None:
    """The picture is the mask: so must the crops be."""
    rle = coco_mask.merge(coco_mask.frPyObjects(person()["segmentation"], 360, 400))
    picture = np.repeat(coco_mask.decode(rle)[..., None] * np.uint8(255), 3, axis=2)
    dataset = CocoKeypoints(content(), lambda entry: picture, codec=MSRA(), augment=Augment())
    for view in range(VIEWS):
        sample = dataset[0, view]
        image = denormalize(sample["image"].numpy())[..., 0] / 255
        # Warping a window of the mask rounds its coordinates, to 1/32 of a pixel, at another place.
        np.testing.assert_allclose(sample["mask"][0], image, atol=0.07)
        assert 0 < float(sample["mask"].max()) <= 1
        assert float(sample["mask"].min()) >= 0


def test_mask_covers_the_visible_keypoints(content: Any, draw: Any) -> None:
    dataset = CocoKeypoints(content(), draw, codec=MSRA(), augment=Augment())
    for view in range(VIEWS):
        sample = dataset[0, view]
        for x, y in sample["keypoints"].round().int().tolist():
            if 0 <= x < 192 and 0 <= y < 256:
                assert sample["mask"][0, y, x] > 0.5


def test_target_is_the_codecs(content: Any, person: Any, draw: Any) -> None:
    joints = np.reshape(person()["keypoints"], (-1, 3)).copy()
    joints[4] = 0
    joints[5, 2] = 1
    dataset = CocoKeypoints(
        content(person(keypoints=joints.ravel().tolist())), draw, codec=MSRA(), augment=Augment()
    )
    for view in range(VIEWS):
        sample = dataset[0, view]
        labelled = np.ones(17)
        labelled[3 if Augment().draw(sample_generator(0, 7, view)).flip else 4] = 0
        heatmap, weight = MSRA().encode(sample["keypoints"].numpy(), labelled)
        np.testing.assert_array_equal(sample["visible"], weight)
        np.testing.assert_allclose(sample["heatmap"], heatmap, atol=1e-5)
        assert (sample["keypoints"][labelled == 0] == 0).all()


def test_same_seed_id_and_view_give_the_same_sample(content: Any, draw: Any) -> None:
    first = CocoKeypoints(content(), draw, codec=MSRA(), augment=Augment(), seed=5)
    second = CocoKeypoints(content(), draw, codec=MSRA(), augment=Augment(), seed=5)
    second[0, 8]
    assert_samples_equal(first[0, 3], second[0, 3])
    assert_samples_equal(first[0], first[0, 0])
    assert_samples_equal(first[-1], first[0, 0])


def test_another_view_seed_or_id_gives_another_sample(content: Any, person: Any, draw: Any) -> None:
    dataset = CocoKeypoints(content(person(), person(id=8)), draw, codec=MSRA(), augment=Augment(), seed=5)
    other_seed = CocoKeypoints(content(), draw, codec=MSRA(), augment=Augment(), seed=6)
    image = dataset[0, 3]["image"]
    for other in (dataset[0, 4], dataset[1, 3], other_seed[0, 3]):
        assert not torch.equal(other["image"], image)


def test_pickled_data_set_gives_the_same_samples(content: Any, folder: Any) -> None:
    dataset = CocoKeypoints(content(), folder, codec=MSRA(), augment=Augment(), cache_images=True)
    before = dataset[0, 1]
    plain = CocoKeypoints(content(), folder, codec=MSRA(), augment=Augment())
    assert len(pickle.dumps(dataset)) < len(pickle.dumps(plain)) + 100, "pictures must not travel"
    assert_samples_equal(pickle.loads(pickle.dumps(dataset))[0, 1], before)
    assert_samples_equal(dataset[0, 1], before)
    assert_samples_equal(plain[0, 1], before)


def test_masks_can_be_left_out(content: Any, draw: Any) -> None:
    dataset = CocoKeypoints(content(), draw, codec=MSRA(), masks=False)
    assert "mask" not in dataset[0]
    assert "heatmap" in dataset[0]


def test_fingerprint_changes_with_all_that_samples_depend_on(content: Any, person: Any, draw: Any) -> None:
    def fingerprint(changes: dict[str, Any] | None = None, **options: Any) -> str:
        given = {"codec": MSRA(), "augment": Augment(), "seed": 0} | options
        return CocoKeypoints(content(person(**(changes or {}))), draw, **given).fingerprint()

    moved = [float(v) + 1 if v != 2 else v for v in person()["keypoints"]]
    others = [
        fingerprint(seed=1),
        fingerprint(augment=None),
        fingerprint(augment=Augment(flip_probability=0)),
        fingerprint(codec=MSRA(input_size=(96, 128))),
        fingerprint(codec=DARK()),
        fingerprint(codec=MSRA(sigma=3.0)),
        fingerprint(masks=False),
        fingerprint({"id": 9}),
        fingerprint({"bbox": [131.0, 20.0, 180.0, 320.0]}),
        fingerprint({"keypoints": moved}),
        fingerprint({"segmentation": person()["segmentation"][:5]}),
    ]
    assert fingerprint() == fingerprint()
    # How a network's maps are decoded changes no sample.
    assert fingerprint(codec=MSRA(decoder="centroid")) == fingerprint()
    assert len({fingerprint(), *others}) == len(others) + 1


def test_an_index_out_of_range_is_an_index_error(content: Any, draw: Any) -> None:
    dataset = CocoKeypoints(content(), draw, codec=MSRA())
    assert len(list(dataset)) == 1
    with pytest.raises(IndexError):
        dataset[1, 0]


def test_the_matrix_of_a_sample_takes_the_labels_to_its_keypoints(content: Any, draw: Any) -> None:
    data = CocoKeypoints(content(), draw, codec=DARK(input_size=(96, 128)), augment=Augment())
    picture = np.asarray(data.coco_dict()["annotations"][0]["keypoints"]).reshape(-1, 3)[:, :2]
    flips = set()
    for view in range(12):
        moved, matrix = apply_affine(data.matrix(0, view), picture), data.matrix(0, view)
        flipped = np.linalg.det(matrix[:, :2]) < 0
        flips.add(bool(flipped))
        expected = moved[list(COCO.flip_permutation)] if flipped else moved
        np.testing.assert_allclose(data[0, view]["keypoints"], expected, atol=1e-3)
    assert flips == {True, False}
