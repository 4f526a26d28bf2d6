"""How the heatmaps of a file that names no codec are read, and that every guess is named."""

import re

import pytest
import torch

from kdkit_pose import codecs, models
from kdkit_pose.cli.codec_choice import choose_codec, size_in_name
from kdkit_pose.cli.loading import load_network
from kdkit_pose.cli.teachers import TeacherFile, load_teachers
from kdkit_pose.codecs import DARK, MSRA, UDP
from kdkit_pose.skeleton import COCO


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files by what they are: official ones, kdkit's small network without a header, and one with a header."""
    folder = tmp_path_factory.mktemp("files")
    hrnet = models.create("hrnet_w16")
    torch.save(hrnet.state_dict(), folder / "pose_hrnet_w16_384x288.pth")
    torch.save(
        {"best_state_dict": hrnet.state_dict(), "state_dict": hrnet.state_dict()}, folder / "checkpoint.pth"
    )
    small = models.create("hrnet_w8_small")
    torch.save(small.state_dict(), folder / "small_128x96.pth")
    models.save(small, folder / "udp_384x288.safetensors", **UDP((64, 64)).to_metadata())
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture(scope="module")
def load(files):
    return lambda name: load_network(files[name], None, "none", "--model")


NOTHING = (None, None, None)


@pytest.mark.parametrize(
    ("name", "asked", "codec", "named"),
    [
        (
            "pose_hrnet_w16_384x288.pth",
            NOTHING,
            MSRA((288, 384), 3.0),
            "assumed: --codec msra (the official HRNet and SimpleBaseline files'), --input-size 384x288 (from its"
            " name), --sigma 3 (usual at this size)",
        ),
        (
            "checkpoint.pth",
            NOTHING,
            MSRA(),
            "assumed: --codec msra (the official HRNet and SimpleBaseline files'), --input-size 256x192"
            " (the default), --sigma 2 (usual at this size)",
        ),
        (
            "small_128x96.pth",
            NOTHING,
            DARK((96, 128)),
            "assumed: --codec dark (the default), --input-size 128x96 (from its name), --sigma 2 (usual at"
            " this size)",
        ),
        (
            "pose_hrnet_w16_384x288.pth",
            ("dark", None, None),
            DARK((288, 384), 3.0),
            "assumed: --input-size 384x288 (from its name), --sigma 3 (usual at this size)",
        ),
        (
            "pose_hrnet_w16_384x288.pth",
            (None, "256x192", 2.5),
            MSRA((192, 256), 2.5),
            "assumed: --codec msra (the official HRNet and SimpleBaseline files')",
        ),
        ("checkpoint.pth", ("udp", "64x64", 1.0), UDP((64, 64), 1.0), "as asked for"),
        ("udp_384x288.safetensors", NOTHING, UDP((64, 64)), "as the file says"),
    ],
)
def test_what_is_guessed_is_named(load, name, asked, codec, named):
    found = choose_codec(load(name), *asked)
    assert (found.codec, found.how) == (codec, named)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("pose_resnet_50_256x192.pth.tar", "256x192"),
        ("hrnet_w48_coco_256x192-b9e0b3ab_20200708.pth", "256x192"),
        ("td-hm_hrnet-w48_8xb32-210e_coco-384x288-c161b7de_20220915.pth", "384x288"),
        ("student.pth", None),
        ("w32_250x190.pth", None),
        ("from_256x192_to_384x288.pth", None),
    ],
)
def test_a_size_is_read_off_a_name_where_there_is_one(tmp_path, name, size):
    assert size_in_name(tmp_path / name) == size


def test_silent_teachers_are_read_as_the_first_is_guessed(files):
    given = {"primary": TeacherFile(files["pose_hrnet_w16_384x288.pth"]), "senior": TeacherFile(None)}
    taught = load_teachers("fpd", given, COCO, "the data").codec_for(*NOTHING)
    assert taught.codec == MSRA((288, 384), 3.0)
    assert "--codec msra" in taught.how
    given["senior"] = TeacherFile(files["udp_384x288.safetensors"])
    taught = load_teachers("joint", given, COCO, "the data").codec_for(*NOTHING)
    assert taught.codec == UDP((64, 64))
    assert "other teacher" in taught.how


def test_every_command_says_what_it_guessed(chain, run, files, tmp_path):
    photo = next(chain.images.rglob("*.png"), None) or next(chain.images.rglob("*.jpg"))
    small = ["--checkpoint", files["small_128x96.pth"]]
    guessed = "--input-size 128x96 (from its name)"
    text = run("evaluate", *small, "--annotations", chain.val, "--images", chain.images)
    assert "DARK(128x96, " in text
    assert f"its file names no codec; assumed: --codec dark (the default), {guessed}" in text
    assert guessed in run("predict", *small, "--out", tmp_path / "out", photo)
    shipped = tmp_path / "small.safetensors"
    text = run("export", *small, "--format", "safetensors", "--codec", "msra", "--out", shipped)
    assert guessed in re.sub(r"\s+", " ", text)
    assert models.load(shipped).codec == MSRA((96, 128))
    teacher = ["--recipe", "fpd", "--primary", files["small_128x96.pth"], "--epochs", 1]
    text = run("distill", "--student", "hrnet_w8_small", *teacher, *chain.data, "--out", tmp_path / "run")
    assert f"teacher primary: its file names no codec; assumed: --codec dark (the default), {guessed}" in text


def test_a_runs_checkpoint_says_as_much_as_its_student(chain, run):
    last = chain.folder / "odkd" / "checkpoints" / "last.pt"
    student = load_network(chain.student("odkd"), None, "none", "--model")
    found = load_network(last, None, "none", "--model")
    assert (found.codec, found.skeleton, found.network.name) == (
        student.codec,
        student.skeleton,
        student.network.name,
    )
    assert found.codec.input_size == (64, 64)
    assert models.recognise(last).format == "kdkit training checkpoint"
    senior = chain.folder / "senior" / "checkpoints" / "last.pt"
    assert models.load(senior).mask_fusion.name == "concat"
    text = run("evaluate", "--checkpoint", last, "--annotations", chain.val, "--images", chain.images)
    assert codecs.from_metadata(models.read_metadata(chain.student("odkd"))).decoder in text
    assert "names no codec" not in text


def test_a_checkpoint_of_before_says_nothing_of_its_codec(chain, tmp_path):
    state = torch.load(chain.folder / "primary" / "checkpoints" / "last.pt", weights_only=True)
    del state["metadata"]
    torch.save(state, tmp_path / "last.pt")
    found = load_network(tmp_path / "last.pt", None, "none", "--model")
    assert (found.codec, found.network.name) == (None, "hrnet_w8_small")
