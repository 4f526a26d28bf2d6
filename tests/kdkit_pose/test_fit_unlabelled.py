"""A whole run without a label, and of another skeleton than COCO's."""

import torch

from kdkit_pose import (
    CROWDPOSE,
    Augment,
    CocoKeypoints,
    MaskAwareTeacher,
    Skeleton,
    SyntheticPeople,
    models,
    recipes,
)
from kdkit_pose.codecs import DARK
from kdkit_pose.fit import FitSettings, fit


def test_a_student_of_crowdposes_keypoints_is_distilled_from_boxes_alone(tmp_path):
    people = SyntheticPeople(3, seed=1, size=(96, 96))
    content = people.annotations()
    boxes = [
        {"image_id": one["image_id"], "category_id": 1, "bbox": one["bbox"], "score": 0.9}
        for one in content["annotations"]
    ]
    data = CocoKeypoints(
        {"images": content["images"]},
        people.picture,
        codec=DARK(input_size=(32, 32)),
        skeleton=CROWDPOSE,
        boxes=boxes,
        unlabelled="keep",
        augment=Augment(),
    )
    torch.manual_seed(0)
    teacher = MaskAwareTeacher("teacher", models.create("hrnet_w8_small", num_keypoints=14))
    student = models.create("hrnet_w8_small", num_keypoints=14)
    before = student.final_layer.weight.detach().clone()
    settings = FitSettings(batch_size=2, progress=False, cpu=True)
    curriculum = recipes.fpd(teacher, until=2, alpha=1, teacher_region=None)
    result = fit(student, curriculum, data, tmp_path / "run", settings)
    metadata = models.read_metadata(result.student)
    assert Skeleton.from_metadata(metadata) == CROWDPOSE
    assert metadata["num_keypoints"] == "14"
    assert not torch.equal(models.load(result.student).final_layer.weight, before)
