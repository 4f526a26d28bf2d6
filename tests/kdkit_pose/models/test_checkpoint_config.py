import pytest
import torch
from hypothesis import given, strategies

from kdkit_pose import codecs, models
from kdkit_pose.models.checkpoint_config import LONGEST, read_codec, read_keypoints
from kdkit_pose.skeleton import COCO, CROWDPOSE, Skeleton

VERSION_1 = """
default_scope = 'mmpose'
codec = dict(
    heatmap_size=(72, 96), input_size=(288, 384), sigma=3{extra}, type='{kind}')
model = dict(
    head=dict(decoder=dict(
        heatmap_size=(72, 96), input_size=(288, 384), sigma=3{extra}, type='{kind}'),
        in_channels=32), type='TopdownPoseEstimator')
"""
VERSION_0 = """
model = dict(type='TopDown', test_cfg=dict(flip_test=True, target_type='GaussianHeatMap'))
data_cfg = dict(image_size=[192, 256], heatmap_size=[48, 64], num_joints=17)
train_pipeline = [dict(type='LoadImageFromFile'), dict(type='TopDownGenerateTarget', sigma=2{extra})]
data = dict(train=dict(data_cfg=dict(image_size=[192, 256], heatmap_size=[48, 64]), img=f'{{root}}/images/'))
"""


@pytest.mark.parametrize(
    ("kind", "extra", "name"),
    [
        ("MSRAHeatmap", "", "msra"),
        ("MSRAHeatmap", ", unbiased=True", "dark"),
        ("UDPHeatmap", "", "udp"),
    ],
)
def test_a_file_of_mmpose_1_names_its_codec(kind, extra, name):
    metadata = read_codec({"cfg": VERSION_1.format(kind=kind, extra=extra)})
    assert codecs.from_metadata(metadata) == codecs.create(name, (288, 384), 3.0)


@pytest.mark.parametrize(
    ("extra", "name"),
    [
        ("", "msra"),
        (", encoding='MSRA'", "msra"),
        (", unbiased_encoding=True", "dark"),
        (", encoding='UDP'", "udp"),
    ],
)
def test_a_file_of_mmpose_0_names_its_codec(extra, name):
    metadata = read_codec({"config": VERSION_0.format(extra=extra)})
    assert codecs.from_metadata(metadata) == codecs.create(name, (192, 256), 2.0)


@pytest.mark.parametrize(
    "meta",
    [
        {"cfg": VERSION_1.format(kind="MegviiHeatmap", extra="")},
        {"cfg": VERSION_1.format(kind="UDPHeatmap", extra=", heatmap_type='combined'")},
        {
            "cfg": VERSION_1.format(kind="MSRAHeatmap", extra="")
            + "other = dict(type='UDPHeatmap', input_size=(8, 8))"
        },
        {"cfg": "codec = dict(type='MSRAHeatmap', input_size=size, sigma=2)"},
        {"cfg": "codec = dict(type='MSRAHeatmap', input_size=(1, 2, 3), sigma=2)"},
        {"cfg": "codec = dict(type='MSRAHeatmap', input_size=(192, 256), sigma='2')"},
        {"config": VERSION_0.format(extra=", encoding='Megvii'")},
        {"config": VERSION_0.format(extra=", target_type='CombinedTarget'")},
        {
            "config": VERSION_0.format(extra="").replace(
                "[192, 256], heatmap_size=[48, 64])", "[8, 8], heatmap_size=1)"
            )
        },
        {"cfg": "codec = dict("},
        {"cfg": "(" * 5000},
        {"cfg": "x" + ".a" * 50_000},
        {"cfg": "-" * 50_000 + "1"},  # deeper than Python's parser goes
        {"cfg": VERSION_1.format(kind="MSRAHeatmap", extra="") + "#" * LONGEST},
        {"cfg": b"codec"},
        {},
        None,
    ],
)
def test_what_is_unknown_or_unclear_stays_unknown(meta):
    assert read_codec(meta) == {}


def test_the_configuration_is_never_run(tmp_path):
    trace = tmp_path / "trace"
    call = f"open({str(trace)!r}, 'w')"
    text = f"{call}.close()\ncodec = dict(type='MSRAHeatmap', input_size={call}, sigma=2)"
    assert read_codec({"cfg": text}) == {}
    assert not trace.exists()


@given(strategies.text() | strategies.text("dict(=)'type, MSRAHeatmap[]{}192\n\\", max_size=60))
def test_no_text_does_more_than_be_passed_over(text):
    read_codec({"cfg": text, "config": text})
    assert read_codec({"cfg": text + "\n!"}) == {}


@pytest.mark.parametrize("skeleton", [COCO, CROWDPOSE])
def test_a_files_known_keypoints_are_its_skeleton(tmp_path, skeleton):
    names = dict(enumerate(name if name != "head" else "top_head" for name in skeleton.keypoints))
    state = models.create("hrnet_w8_small", skeleton.num_keypoints).state_dict()
    meta = {"dataset_meta": {"keypoint_id2name": names}, "cfg": VERSION_1.format(kind="MSRAHeatmap", extra="")}
    torch.save(
        {"meta": meta, "state_dict": {f"backbone.{key}": value for key, value in state.items()}}, tmp_path / "f"
    )
    found = models.recognise(tmp_path / "f")
    assert Skeleton.from_metadata(found.metadata) == skeleton
    assert codecs.from_metadata(found.metadata).name == "msra"


@pytest.mark.parametrize("names", [None, {1: "nose"}, ["nose"], {0: "tail", 1: "nose"}, {}])
def test_other_keypoints_are_no_known_skeleton(tmp_path, names):
    meta = {"dataset_meta": {"keypoint_id2name": names}}
    torch.save({"meta": meta, "state_dict": {"backbone.x": torch.zeros(1)}}, tmp_path / "f")
    assert models.recognise(tmp_path / "f").metadata == {}
    assert read_keypoints(meta) == (("tail", "nose") if names == {0: "tail", 1: "nose"} else ())
