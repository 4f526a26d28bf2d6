import pytest
import torch
from hypothesis import given, settings, strategies

from kdkit.errors import CheckpointError
from kdkit_pose import models
from kdkit_pose.models.checkpoint_check import with_article
from kdkit_pose.models.checkpoint_files import CheckpointFile
from kdkit_pose.models.checkpoint_formats import find_weights
from kdkit_pose.models.checkpoint_recognition import recognise_weights
from kdkit_pose.models.identify import identify

KERNEL = torch.zeros(4, 4, 3, 3)


def shapes(name, **arguments):
    with torch.device("meta"):
        state = models.create(name, **arguments).state_dict()
    return {key.removeprefix("backbone."): value for key, value in state.items()}


@pytest.mark.parametrize(
    ("change", "title"),
    [
        ({"deconv_layers.3.weight": torch.zeros(256, 128, 4, 4)}, "256, 128, 256 filters, unknown to kdkit"),
        ({"deconv_layers.9.weight": torch.zeros(256, 256, 4, 4)}, "deconvolutions of 256, 256, 256 filters"),
        ({"layer1.0.se.fc1.weight": KERNEL}, "variant of ResNet with 2, 2, 2, 2 blocks"),
        ({"layer1.2.conv1.weight": KERNEL}, "variant of ResNet with 3, 2, 2, 2 blocks"),
        ({"layer1.0.conv2.weight": torch.zeros(96, 96, 3, 3)}, "variant of ResNet"),
    ],
)
def test_a_resnet_of_another_shape_is_described(change, title):
    found = identify(shapes("simplebaseline_resnet18") | change)
    assert found.name is None
    assert title in found.title


def test_heatmaps_right_on_a_trunk_are_another_networks_head():
    state = shapes("simplebaseline_resnet18")
    bare = {key: value for key, value in state.items() if not key.startswith("deconv_layers.")}
    found = identify(bare | {"final_layer.weight": torch.zeros(17, 512, 1, 1)})
    assert (found.title, found.num_keypoints) == ("ResNet-18", None)


@pytest.mark.parametrize(
    ("name", "key", "title"),
    [
        ("litehrnet_18", "stage1.7.x", "Lite-HRNet with 2, 5, 2 modules"),
        ("lpn_50", "layer3.6.x", "LPN with 3, 4, 7, 3 blocks"),
        ("hourglass4_128", "hourglasses.4.x", "hourglass of 5 stacks with 128 features"),
        ("hrnet_w8_small", "stage3.1.x", "HRNet of width 8 with 1, 2, 1 modules"),
    ],
)
def test_another_depth_is_described(name, key, title):
    found = identify(shapes(name) | {key: torch.zeros(1)})
    assert found.name is None
    assert found.title.startswith(title)
    assert found.num_keypoints == 17


def test_a_naive_lite_hrnet_is_not_taken_for_the_other():
    naive = {k: v for k, v in shapes("litehrnet_18").items() if "cross_resolution_weighting" not in k}
    assert identify(naive).name is None


def test_an_official_hourglass_is_recognised():
    network = {f"hg.{stack}.hg.{scale}.0.0.conv1.weight": KERNEL for stack in range(4) for scale in range(4)}
    head = {f"score.{stack}.weight": torch.zeros(17, 128, 1, 1) for stack in range(4)}
    found = identify(network | head | {"conv1.weight": torch.zeros(32, 3, 7, 7)})
    assert (found.name, found.num_keypoints) == ("hourglass4_128", 17)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["student.head.cls_x.weight", "student.head.cls_y.weight", "student.head.gau.o.weight"], "RTMPose with"),
        (["head.mlp_head_x.weight", "head.mlp_head_y.weight"], "SimCC head"),
        (["backbone.patch_embed.projection.weight", "backbone.layers.0.ln1.weight"], "ViTPose"),
        (["backbone.conv1.conv.weight", "backbone.layer1.0.conv.0.conv.weight"], "mmpose's MobileNetV2"),
        (["backbone.conv1.conv.weight", "backbone.layers.0.0.branch1.0.weight"], "ShuffleNetV2"),
        (["backbone.stem.0.weight", "backbone.layer1.0.conv1.weight"], "ResNet V1d"),
        (["backbone.stage2.0.branches.0.0.attn.attn.weight"], "HRFormer"),
        (["roi_heads.keypoint_predictor.kps_score_lowres.weight"], "Keypoint R-CNN"),
    ],
)
def test_networks_that_kdkit_has_not_are_known_by_sight(tmp_path, keys, words):
    torch.save({"state_dict": dict.fromkeys([*keys, "teacher.x"], KERNEL)}, tmp_path / "other.pth")
    found = models.recognise(tmp_path / "other.pth")
    assert found.model is None
    assert words in found.title
    assert found.unusable in str(found)
    for attempt in (models.load, lambda path: models.create("hrnet_w8_small", checkpoint=path)):
        with pytest.raises(CheckpointError, match=f"other.pth.*{words}") as caught:
            attempt(tmp_path / "other.pth")
        assert found.unusable in str(caught.value)


@pytest.mark.parametrize("prefix", ["student.", "student.backbone."])
def test_the_students_teacher_is_not_taken_for_it(prefix):
    state = shapes("hrnet_w8_small")
    student = {f"{prefix}{key}": value for key, value in state.items() if not key.startswith("final_layer.")}
    teacher = {"teacher.backbone.patch_embed.projection.weight": KERNEL}
    file = CheckpointFile("kd.pth", {"state_dict": student | teacher})
    weights = find_weights(file)
    assert recognise_weights(file, weights)[0].model == "hrnet_w8_small"
    assert weights.keys == {key.removeprefix(prefix): key for key in student}
    assert weights.unused == tuple(teacher)


def test_titles_are_spoken_with_the_right_article():
    assert [
        with_article(title).split()[0] for title in ("HRNet-W32", "LPN-50", "RTMPose", "mmpose Hourglass")
    ] == ["an"] * 4
    assert with_article("SimpleBaseline-50").startswith("a ")


PARTS = strategies.sampled_from(
    [
        *("backbone", "head", "keypoint_head", "student", "teacher", "module", "model", "net", "final_layer"),
        *(
            "conv1",
            "conv2",
            "weight",
            "bias",
            "layer1",
            "layer4",
            "stage0",
            "stage2",
            "branches",
            "0",
            "3",
            "layers",
        ),
        *("deconv_layers", "hg", "hourglasses", "stem", "conv", "att", "conv_mask", "mask_fusion", "n_averaged"),
        *("", "stage2.0.branches.0.0.conv1.weight", "layer1.0.conv2.weight", "hg.0.hg.0.0.0.conv1.weight"),
    ]
)
NAMES = strategies.lists(PARTS, min_size=1, max_size=5).map(".".join)
TENSORS = strategies.lists(strategies.integers(0, 5), max_size=5).map(torch.zeros)
VALUES = TENSORS | strategies.integers() | strategies.text(max_size=3) | strategies.none()
STATES = strategies.dictionaries(NAMES | strategies.integers(), VALUES, max_size=12)
SECTIONS = strategies.sampled_from(["state_dict", "best_state_dict", "network", "model", "meta", "cfg"])
CONTENTS = (
    strategies.dictionaries(SECTIONS, STATES | VALUES, max_size=3) | STATES | VALUES | strategies.lists(VALUES)
)


@settings(max_examples=400, deadline=None)
@given(CONTENTS, strategies.booleans())
def test_no_foreign_content_does_more_than_be_refused(content, is_safetensors):
    file = CheckpointFile("foreign.pth", content, is_safetensors=is_safetensors)
    try:
        said = str(recognise_weights(file, find_weights(file))[0])
    except CheckpointError as error:
        said = str(error)
    assert "foreign.pth" in said


@pytest.fixture(scope="module")
def network():
    return models.create("hrnet_w8_small")


@settings(max_examples=40, deadline=None)
@given(content=STATES)
def test_nothing_of_another_networks_is_loaded(tmp_path_factory, network, content):
    path = tmp_path_factory.getbasetemp() / "foreign.pth"
    torch.save(content, path)
    before = network.conv1.weight.clone()
    for trunk_only in (False, True):
        with pytest.raises(CheckpointError, match=r"foreign\.pth"):
            models.load_checkpoint(network, path, trunk_only=trunk_only)
    with pytest.raises(CheckpointError, match=r"foreign\.pth"):
        models.load(path)
    assert torch.equal(network.conv1.weight, before)
