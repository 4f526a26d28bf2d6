from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from kdkit import (
    BatchError,
    ConfigurationError,
    Curriculum,
    Distill,
    Distiller,
    Epochs,
    ModuleTeacher,
    Stage,
    Student,
    losses,
)
from kdkit.naming import callable_name
from kdkit.transformed_teacher import TransformedTeacher
from kdkit_pose.codecs import DARK, MSRA
from kdkit_pose.skeleton import COCO, CROWDPOSE, Skeleton
from kdkit_pose.skeleton_mapping import KnownKeypoints, map_keypoints

SHARED = tuple(name for name in CROWDPOSE.keypoints if name not in ("head", "neck"))


def person(skeleton: Skeleton) -> np.ndarray:
    """Keypoints in an input of 96x128, in a place that depends on the name alone."""
    names = sorted({*COCO.keypoints, *CROWDPOSE.keypoints})
    spread = np.random.default_rng(0).permutation(len(names))
    return np.array(
        [[20 + 3.1 * spread[names.index(name)], 24 + 4.3 * names.index(name)] for name in skeleton.keypoints]
    )


@pytest.mark.parametrize(
    "codec", [DARK(input_size=(96, 128)), MSRA(input_size=(96, 128))], ids=lambda codec: codec.name
)
@pytest.mark.parametrize(
    ("source", "target"), [(COCO, CROWDPOSE), (CROWDPOSE, COCO)], ids=["to crowdpose", "to coco"]
)
def test_mapped_heatmaps_show_the_targets_own(codec, source, target):
    mapping = map_keypoints(source, target)
    encoded, _ = codec.encode(person(source), np.ones(source.num_keypoints))
    mapped = mapping.transform(torch.from_numpy(encoded)[None])
    expected, _ = codec.encode(person(target), mapping.known)
    assert torch.equal(mapped[0], torch.from_numpy(expected))
    points, scores = codec.decode(mapped)
    known = list(mapping.known)
    error = np.abs(points[0, known].numpy() - person(target)[known])
    assert error.max() < (0.1 if codec.name == "dark" else codec.stride)
    assert (scores[0] > 0.5).tolist() == known


def test_there_and_back_keeps_what_both_know():
    there, back = map_keypoints(COCO, CROWDPOSE), map_keypoints(CROWDPOSE, COCO)
    heatmap = torch.rand(2, 17, 4, 3)
    known = torch.tensor(back.known)
    returned = (there.transform >> back.transform)(heatmap)
    assert torch.equal(returned[:, known], heatmap[:, known])
    assert (returned[:, ~known] == 0).all()
    assert there.missing == ("head", "neck")
    assert back.missing == ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
    assert sum(there.known) == sum(back.known) == 12


def test_left_and_right_stay_what_they_are():
    mapping = map_keypoints(COCO, CROWDPOSE)
    for index, name in zip(mapping.order, CROWDPOSE.keypoints, strict=True):
        assert (None if index is None else COCO.keypoints[index]) == (name if name in SHARED else None)


def test_a_skeleton_to_itself_changes_nothing():
    mapping = map_keypoints(COCO, COCO)
    heatmap = torch.rand(2, 17, 4, 3)
    assert torch.equal(mapping.transform(heatmap), heatmap)
    assert mapping.missing == ()
    visible = torch.rand(2, 17)
    assert torch.equal(mapping.region({"visible": visible}), visible)


def test_aliases_name_the_same_place_differently():
    mapping = map_keypoints(COCO, CROWDPOSE, aliases={"head": "nose"})
    assert mapping.missing == ("neck",)
    assert mapping.order[CROWDPOSE.keypoints.index("head")] == 0
    renamed = replace(CROWDPOSE, keypoints=tuple(f"{name}_joint" for name in CROWDPOSE.keypoints))
    aliases = {f"{name}_joint": name for name in SHARED}
    assert map_keypoints(COCO, renamed, aliases).order == map_keypoints(COCO, CROWDPOSE).order
    with pytest.raises(ConfigurationError, match=r"no keypoint in common.*give aliases"):
        map_keypoints(COCO, renamed)


@pytest.mark.parametrize(("aliases", "lacking"), [({"heads": "nose"}, "heads"), ({"head": "noses"}, "noses")])
def test_an_alias_that_names_nothing_is_refused(aliases, lacking):
    with pytest.raises(ConfigurationError, match=f"has no '{lacking}'"):
        map_keypoints(COCO, CROWDPOSE, aliases)


def test_the_region_is_the_known_keypoints_times_visibility():
    region = map_keypoints(COCO, CROWDPOSE).region
    visible = torch.tensor([[0.0] + [1.0] * 13, [1.0] * 14])
    assert region({"visible": visible}).tolist() == [[0.0] + [1.0] * 11 + [0.0] * 2, [1.0] * 12 + [0.0] * 2]
    everywhere = [[1.0] * 12 + [0.0] * 2]
    assert region({"image": torch.zeros(2, 3, 4, 4)}).tolist() == everywhere
    assert KnownKeypoints(region.known, visible=None)({"visible": visible}).tolist() == everywhere
    with pytest.raises(BatchError, match=r"'visible' has shape \(2, 17\).*\[B, 14\]"):
        region({"visible": torch.ones(2, 17)})
    with pytest.raises(BatchError, match="no tensor"):
        region({})


def test_the_region_is_where_the_batch_is():
    # Tensors on the meta device have no values: whoever asks for one fails.
    region = map_keypoints(COCO, CROWDPOSE).region
    for field, shape in (("image", (2, 3, 4, 4)), ("visible", (2, 14))):
        assert region({field: torch.empty(shape, device="meta")}).device.type == "meta"


def test_descriptions_are_short_and_free_of_addresses():
    mapping = map_keypoints(COCO, CROWDPOSE)
    assert repr(mapping).startswith("KeypointMapping(coco to crowdpose, order=(5, 6, ")
    # Mappings of other skeletons are told apart where a run is described.
    assert callable_name(mapping.region) == repr(mapping.region)
    assert repr(mapping.region).startswith("KnownKeypoints(known=(True, ")
    assert mapping == map_keypoints(COCO, CROWDPOSE)


def test_a_student_learns_known_keypoints_from_a_teacher_of_another_skeleton():
    torch.manual_seed(0)
    mapping = map_keypoints(COCO, CROWDPOSE)
    coco = ModuleTeacher("coco", nn.Conv2d(3, 17, 3, padding=1), inputs="image", outputs="heatmap")
    teacher = TransformedTeacher(coco, outputs={"heatmap": mapping.transform})
    network = nn.Conv2d(3, 14, 3, padding=1)
    batch = {"image": torch.randn(2, 3, 8, 6), "visible": torch.ones(2, 14)}
    batch["visible"][:, 0] = 0

    def gradients(region):
        objective = Distill(teacher, "heatmap", losses.mse, region=region)
        student = Student(network, inputs="image", outputs="heatmap")
        distiller = Distiller(student, Curriculum(Stage("coco", [objective], until=Epochs(1))))
        network.zero_grad()
        distiller(batch).total.backward()
        return [float(gradient.abs().sum()) > 0 for gradient in network.weight.grad]

    assert gradients(None) == [True] * 14
    assert gradients(mapping.region) == [False] + [True] * 11 + [False] * 2


def test_a_student_that_follows_comes_to_the_teachers_keypoints():
    torch.manual_seed(0)
    mapping = map_keypoints(COCO, CROWDPOSE)
    coco = ModuleTeacher("coco", nn.Conv2d(3, 17, 1), inputs="image", outputs="heatmap")
    teacher = TransformedTeacher(coco, outputs={"heatmap": mapping.transform})
    network = nn.Conv2d(3, 14, 1)
    start = network.weight.detach().clone()
    objective = Distill(teacher, "heatmap", losses.mse, region=mapping.region, weight=14.0)
    student = Student(network, inputs="image", outputs="heatmap")
    distiller = Distiller(student, Curriculum(Stage("coco", [objective], until=Epochs(1))))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.2)
    batch = {"image": torch.randn(4, 3, 8, 6)}
    for _ in range(300):
        optimizer.zero_grad()
        distiller(batch).total.backward()
        optimizer.step()
    own = {name: network.weight[index] for index, name in enumerate(CROWDPOSE.keypoints)}
    for name in SHARED:
        torch.testing.assert_close(own[name], coco.module.weight[COCO.keypoints.index(name)], atol=1e-3, rtol=0)
    assert torch.equal(network.weight[12:], start[12:])
