"""Persons without labels: left out, or kept for teachers alone to teach."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import default_collate

from kdkit import Distiller, ModuleTeacher, Student, losses
from kdkit.errors import ConfigurationError, DataError
from kdkit_pose import recipes
from kdkit_pose.codecs import MSRA
from kdkit_pose.data import Augment, CocoKeypoints, loader

CODEC = MSRA(input_size=(32, 32))
BOX = {"image_id": 3, "category_id": 1, "bbox": [130.0, 20.0, 180.0, 320.0], "score": 0.75}


@pytest.fixture
def mixed(content: Any, person: Any) -> dict[str, Any]:
    """Three persons, of whom the first alone is labelled."""
    return content(person(id=1), person(id=2, keypoints=[0] * 51), person(id=3, keypoints=None, area=None))


def network(channels: int = 17) -> nn.Module:
    return nn.Conv2d(3, channels, 4, stride=4)


def test_they_are_left_out_unless_asked_for(mixed: Any, draw: Any) -> None:
    del mixed["annotations"][2]
    assert CocoKeypoints(mixed, draw, codec=CODEC).annotation_ids == (1,)
    assert CocoKeypoints(mixed, draw, codec=CODEC, unlabelled="keep").annotation_ids == (1, 2)
    with pytest.raises(ConfigurationError, match=r"unlabelled must be one of .*found 'yes'"):
        CocoKeypoints(mixed, draw, codec=CODEC, unlabelled="yes")  # type: ignore[arg-type]


def test_kept_ones_have_all_fields_and_nothing_to_learn(mixed: Any, draw: Any) -> None:
    data = CocoKeypoints(mixed, draw, codec=CODEC, augment=Augment(), unlabelled="keep")
    assert data.annotation_ids == (1, 2, 3)
    assert data.skipped.noted.counts["person without a labelled keypoint, kept"] == 2
    for view in range(8):
        labelled, zeros, none = (data[row, view] for row in range(3))
        assert labelled["visible"].any()
        for sample in (zeros, none):
            assert {key: (value.shape, value.dtype) for key, value in sample.items()} == {
                key: (value.shape, value.dtype) for key, value in labelled.items()
            }
            assert not any(sample[field].any() for field in ("visible", "heatmap", "keypoints"))
            assert sample["image"].std() > 0


def test_a_labelled_persons_samples_are_the_same_with_and_without_them(mixed: Any, draw: Any) -> None:
    del mixed["annotations"][2]
    alone = CocoKeypoints(mixed, draw, codec=CODEC, augment=Augment())
    among = CocoKeypoints(mixed, draw, codec=CODEC, augment=Augment(), unlabelled="keep")
    for name, value in alone[0, 5].items():
        assert torch.equal(value, among[0, 5][name])
    assert alone.fingerprint() != among.fingerprint()


def test_where_everybody_is_labelled_keeping_changes_nothing(content: Any, draw: Any) -> None:
    prints = {
        CocoKeypoints(content(), draw, codec=CODEC, unlabelled=u).fingerprint() for u in ("leave out", "keep")
    }
    assert len(prints) == 1


def test_their_annotations_are_checked_as_all_are(content: Any, person: Any, draw: Any) -> None:
    bad = {"id": 4, "iscrowd": 1}, {"id": 5, "area": 0}, {"id": 6, "bbox": [500, 20, 50, 300]}
    persons = [person(id=1), *(person(keypoints=None, **change) for change in bad)]
    data = CocoKeypoints(content(*persons), draw, codec=CODEC, unlabelled="keep")
    assert data.annotation_ids == (1,)
    assert data.skipped.left_out.counts == {"crowd region": 1, "person without an area": 1, "empty box": 1}
    for change in ({"keypoints": [0] * 50}, {"keypoints": None, "bbox": [1, 2]}):
        with pytest.raises(DataError, match="annotation 7"):
            CocoKeypoints(content(person(**change)), draw, codec=CODEC, unlabelled="keep")


def influence(curriculum: Any, batch: Any) -> torch.Tensor:
    """How much the total loss depends on what the student says of each sample, [B]."""
    torch.manual_seed(0)
    student = network()
    outputs: list[torch.Tensor] = []
    student.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    total = Distiller(Student(student, "image", "heatmap"), curriculum)(batch).total
    (grad,) = torch.autograd.grad(total, outputs[0])
    return grad.abs().flatten(1).sum(1)


def test_only_teachers_learn_the_student_anything_of_them(mixed: Any, draw: Any) -> None:
    batch = default_collate(
        list(map(CocoKeypoints(mixed, draw, codec=CODEC, unlabelled="keep").__getitem__, range(3)))
    )
    torch.manual_seed(1)  # a teacher equal to the student would teach nothing
    teacher = ModuleTeacher("teacher", network(), inputs="image", outputs="heatmap")
    of_truth = influence(recipes.supervised(loss=losses.mse), batch)
    assert of_truth[0] > 0
    assert of_truth[1] == of_truth[2] == 0
    by_default = influence(recipes.fpd(teacher), batch)
    assert by_default[1] == by_default[2] == 0
    everywhere = influence(recipes.fpd(teacher, teacher_region=None), batch)
    assert (everywhere > 0).all()


def test_boxes_can_be_trained_on_with_augmentation_and_masks(content: Any, draw: Any) -> None:
    data = CocoKeypoints(
        {"images": content()["images"]},
        draw,
        codec=CODEC,
        boxes=[BOX, BOX],
        augment=Augment(),
        masks=True,
        unlabelled="keep",
    )
    views = [data[0, view] for view in range(12)]
    assert len({sample["scale"].numpy().tobytes() for sample in views}) > 6
    for sample in views:
        assert sample["heatmap"].shape == (17, 8, 8)
        assert not any(sample[field].any() for field in ("visible", "heatmap", "keypoints"))
        assert (sample["mask"] == 1).all()
    # Half a body cannot be told without keypoints: the centre stays the box's.
    assert {tuple(sample["center"].tolist()) for sample in views} == {(220.0, 180.0)}
    with pytest.raises(ConfigurationError, match=r"unlabelled='keep'"):
        CocoKeypoints(content(), draw, codec=CODEC, boxes=[BOX], augment=Augment())


@pytest.mark.parametrize("boxes", [None, [BOX, {**BOX, "bbox": [120.0, 30.0, 190.0, 300.0]}]])
def test_a_student_learns_from_a_teacher_alone(content: Any, person: Any, draw: Any, boxes: Any) -> None:
    persons = [person(id=number, keypoints=None) for number in (1, 2)]
    data = CocoKeypoints(content(*persons), draw, codec=CODEC, augment=Augment(), boxes=boxes, unlabelled="keep")
    torch.manual_seed(1)
    teacher = ModuleTeacher("teacher", network(), inputs="image", outputs="heatmap")
    student = network()
    distiller = Distiller(Student(student, "image", "heatmap"), recipes.fpd(teacher, alpha=1, teacher_region=None))
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-2)
    batches = loader(data, 2, shuffle=True)
    totals = []
    for epoch in range(40):
        batches.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        for batch in batches:
            optimizer.zero_grad()
            total = distiller(batch).total
            total.backward()
            optimizer.step()
            totals.append(float(total.detach()))
    assert np.mean(totals[-5:]) < 0.2 * np.mean(totals[:5])
