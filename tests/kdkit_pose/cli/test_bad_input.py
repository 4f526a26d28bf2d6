"""What users get wrong: one line that says what, exit code 2, and nothing written or lost."""

import json

import pytest
import torch

from kdkit_pose import models

TRUTHS = ("--boxes", "ground truth")


@pytest.fixture
def evaluated(chain):
    return ["--annotations", chain.val, "--images", chain.images]


@pytest.fixture
def train(chain, tmp_path):
    return [
        *("train", "--model", "hrnet_w8_small", *chain.data, "--epochs", 1, "--input-size", "32x32"),
        *("--out", tmp_path / "out"),
    ]


@pytest.fixture
def distill(chain, tmp_path):
    return [
        *("distill", "--student", "hrnet_w8_small", *chain.data, "--epochs", 2, "--out", tmp_path / "out"),
        *("--primary", chain.student("primary")),
    ]


@pytest.fixture
def with_senior(chain, distill):
    return [*distill, "--senior", chain.student("senior")]


@pytest.fixture(autouse=True)
def _nothing_is_written(tmp_path):
    yield
    assert not (tmp_path / "out").exists()


@pytest.fixture
def changed(chain, tmp_path):
    """Writes the validation annotations with a change."""

    def write(change):
        content = chain.content()
        change(content)
        (tmp_path / "changed.json").write_text(json.dumps(content))
        return tmp_path / "changed.json"

    return write


def test_annotations_that_are_not_there(fail, chain, train, tmp_path):
    missing = tmp_path / "missing.json"
    assert str(missing) in fail(*train, "--train-annotations", missing)
    assert str(missing) in fail(*train, "--val-annotations", missing)
    assert str(missing) in fail("score", *TRUTHS, "--annotations", missing, "--results", chain.val)
    assert str(missing) in fail("score", *TRUTHS, "--annotations", chain.val, "--results", missing)


def test_annotations_that_are_cut_short(fail, chain, train, tmp_path):
    cut = tmp_path / "cut.json"
    cut.write_bytes(chain.val.read_bytes()[:-100])
    for arguments in (
        (*train, "--train-annotations", cut),
        (*train, "--val-annotations", cut),
        ("score", *TRUTHS, "--annotations", cut, "--results", cut),
    ):
        assert "JSON" in (message := fail(*arguments))
        assert str(cut) in message


def test_files_of_another_kind(fail, chain, train, tmp_path):
    (tmp_path / "list.json").write_text("[]")
    assert "COCO" in fail(*train, "--train-annotations", tmp_path / "list.json")
    assert "annotation file" in fail("score", *TRUTHS, "--annotations", chain.val, "--results", chain.val)
    picture = next(chain.images.rglob("*.jpg"))
    assert str(picture) in fail(*train, "--train-annotations", picture)


def test_all_pictures_missing(fail, chain, train, tmp_path):
    assert "nowhere' does not exist" in fail(*train, "--images", tmp_path / "nowhere")
    message = fail(*train, "--images", chain.images.parent)
    assert "5 of the 5 pictures are missing" in message
    assert f"'{chain.images}' holds it" in message


def test_a_missing_picture_is_named_and_the_rest_goes_on(chain, changed, run):
    def rename(content):
        content["images"][0]["file_name"] = "val/lost.jpg"

    annotations = changed(rename)
    text = run(
        *("evaluate", "--checkpoint", chain.student("primary"), "--annotations", annotations),
        *("--images", chain.images, "--skip-missing"),
    )
    assert "val/lost.jpg" in text


def test_nobody_with_keypoints(fail, train, changed):
    def unlabel(content):
        for annotation in content["annotations"]:
            annotation["keypoints"] = [0] * 51
            annotation["num_keypoints"] = 0

    message = fail(*train, "--train-annotations", changed(unlabel))
    assert "no usable person" in message
    assert "without a labelled keypoint" in message


def test_annotations_of_other_keypoints(fail, train, changed):
    def shorten(content):
        content["categories"][0]["keypoints"] = content["categories"][0]["keypoints"][:14]

    message = fail(*train, "--train-annotations", changed(shorten), "--skeleton", "coco")
    assert "14" in message
    assert "17" in message
    # By itself the file says which keypoints it has: a body with one knee.
    message = fail(*train, "--train-annotations", changed(shorten))
    assert "left_knee" in message
    assert "flip_pairs" in message


def test_a_checkpoint_of_another_width(fail, chain, evaluated, train, distill):
    checkpoint = chain.student("primary")
    message = fail("evaluate", "--checkpoint", checkpoint, "--model", "hrnet_w16_small", *evaluated)
    assert "hrnet_w8_small" in message
    assert str(checkpoint) in fail(*train, "--model", "hrnet_w16_small", "--checkpoint", checkpoint)
    assert "hrnet_w8_small" in fail(*distill, "--recipe", "fpd", "--primary-model", "hrnet_w16_small")


def test_a_checkpoint_of_other_keypoints(fail, chain, evaluated, distill, tmp_path):
    other = tmp_path / "crowdpose.safetensors"
    models.save(models.create("hrnet_w8_small", num_keypoints=14), other)
    arguments = ("evaluate", "--checkpoint", other, *evaluated)
    for message in (
        fail(*arguments),
        fail(*arguments, "--model", "hrnet_w8_small"),
        fail(*distill, "--recipe", "fpd", "--primary", other),
    ):
        assert "14 keypoints" in message
        assert "17" in message


class Bomb:
    """Code that a checkpoint may hide: unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_code_in_a_checkpoint_never_runs(fail, chain, evaluated, train, distill, tmp_path):
    evil, trace = tmp_path / "evil.pth", tmp_path / "trace"
    torch.save({"state_dict": models.create("hrnet_w8_small").state_dict(), "bomb": Bomb(trace)}, evil)
    for arguments in (
        ("evaluate", "--checkpoint", evil, "--model", "hrnet_w8_small", *evaluated),
        (*train, "--checkpoint", evil),
        (*distill, "--recipe", "fpd", "--primary", evil, "--primary-model", "hrnet_w8_small"),
    ):
        assert "code" in fail(*arguments)
        assert not trace.exists()
    torch.load(evil, weights_only=False)
    assert trace.exists()


def test_a_checkpoint_that_does_not_say_its_network(fail, run, chain, evaluated, distill, tmp_path):
    bare, foreign = tmp_path / "bare.pth", tmp_path / "foreign.pth"
    network = models.load(chain.student("primary"))
    torch.save(network.state_dict(), bare)
    torch.save({f"other.{name}": value for name, value in network.state_dict().items()}, foreign)
    figures = [tmp_path / name for name in ("bare.json", "itself.json")]
    run("evaluate", "--checkpoint", bare, "--input-size", "64x64", *evaluated, "--json", figures[0])
    run("evaluate", "--checkpoint", chain.student("primary"), *evaluated, "--json", figures[1])
    assert figures[0].read_text() == figures[1].read_text()
    assert str(foreign) in fail("evaluate", "--checkpoint", foreign, *evaluated)
    assert str(foreign) in fail(*distill, "--recipe", "fpd", "--primary", foreign)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04 no zip"])
def test_a_damaged_checkpoint(fail, evaluated, tmp_path, content):
    broken = tmp_path / "broken.pth"
    broken.write_bytes(content)
    assert str(broken) in fail("evaluate", "--checkpoint", broken, "--model", "hrnet_w8_small", *evaluated)
    assert str(tmp_path / "none") in fail("evaluate", "--checkpoint", tmp_path / "none", *evaluated)


@pytest.mark.parametrize("change", [["--seed", 1], ["--input-size", "32x32"], ["--learning-rate", 0.5]])
def test_a_folder_with_another_run(monkeypatch, capfd, chain, change):
    import sys

    from kdkit_pose.cli import main

    out = chain.folder / "primary"
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    arguments = ["train", "--model", "hrnet_w8_small", *chain.data, "--epochs", 2, "--input-size", "64x64"]
    arguments += ["--val-annotations", chain.val, "--evaluate-every", 1, "--out", out, *change]
    monkeypatch.setattr(sys, "argv", ["kdkit-pose", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    message = capfd.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    assert "another run" in message
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_teacher_that_changed_is_another_run(fail, chain, run, tmp_path):
    teacher, out = tmp_path / "teacher.safetensors", tmp_path / "run"
    teacher.write_bytes(chain.student("primary").read_bytes())
    arguments = ["distill", "--recipe", "fpd", "--student", "hrnet_w8_small", *chain.data, "--epochs", 1]
    arguments += ["--primary", teacher, "--out", out]
    run(*arguments)
    run(*arguments)
    network = models.load(teacher)
    torch.nn.init.ones_(network.conv1.weight)
    metadata = models.read_metadata(teacher)
    own = models.describe(network)
    models.save(network, teacher, **{key: value for key, value in metadata.items() if key not in (*own, "format")})
    assert "another run" in fail(*arguments)


def test_an_output_folder_that_is_a_file(fail, train, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert str(tmp_path / "file") in fail(*train, "--out", tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_synthesize_overwrites_nothing(fail, chain):
    before = chain.val.read_bytes()
    assert "not overwritten" in fail("synthesize", "--out", chain.folder / "people", "--train", 1, "--val", 1)
    assert chain.val.read_bytes() == before
    assert "nothing to draw" in fail("synthesize", "--out", chain.folder / "none", "--train", 0, "--val", 0)
    assert not (chain.folder / "none").exists()


@pytest.mark.parametrize("option", ["--teacher-floor", "--plateau"])
def test_what_needs_validation_data_says_so(fail, with_senior, option):
    message = fail(*with_senior, option, "1")
    assert option in message
    assert "--val-annotations" in message


def test_a_teacher_below_the_floor(fail, chain, with_senior):
    floor = [*with_senior, "--val-annotations", chain.val, "--teacher-floor", "0.99"]
    message = fail(*floor)
    assert "'primary'" in message
    assert "0.99" in message
    assert "--allow-weak-teachers" in message


def test_a_missing_teacher(fail, chain, distill, tmp_path):
    assert "give --senior" in fail(*distill, "--recipe", "odkd")
    assert "give --senior" in fail(*distill[:-2], "--recipe", "senior_only")
    assert "none.safetensors" in fail(*distill, "--senior", tmp_path / "none.safetensors")


def test_teachers_of_different_codecs(fail, distill, tmp_path):
    from kdkit_pose.codecs import MSRA

    other = tmp_path / "msra.safetensors"
    codec = MSRA(input_size=(64, 64)).to_metadata()
    models.save(models.create("hrnet_w8_small", mask_fusion="concat"), other, **codec)
    message = fail(*distill, "--senior", other)
    assert "MSRA" in message
    assert "DARK" in message


def test_a_mask_aware_network_with_detector_boxes(fail, chain, evaluated, tmp_path):
    message = fail("evaluate", "--checkpoint", chain.student("senior"), *evaluated, "--boxes", tmp_path / "b.json")
    assert "mask" in message
    assert "--boxes" in message


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("--input-size", value) for value in ("64", "axb", "0x0", "-32x32", "30x30", "64x64x3", "")),
        *(("--codec", value) for value in ("simcc", "")),
        *(("--sigma", value) for value in ("0", "-1", "nan")),
    ],
)
def test_nonsense_geometry(fail, chain, train, evaluated, option, value):
    for command in (train, ("evaluate", "--checkpoint", chain.student("primary"), *evaluated)):
        assert option.removeprefix("--").replace("input-size", "size") in fail(
            *command, f"{option}={value}"
        ).replace("input_size", "input-size")


def test_an_input_the_network_cannot_take(fail, train):
    assert "multiples of 32" in fail(*train, "--input-size", "60x60", "--batch-size", 2)


def test_nonsense_decoder(fail, chain, evaluated):
    message = fail("evaluate", "--checkpoint", chain.student("primary"), *evaluated, "--decoder", "crystal")
    assert "crystal" in message
    assert "centroid" in message


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("--alpha", value) for value in ("-0.1", "2", "nan", "much")),
        *(("--threshold", value) for value in ("0", "-1", "2", "nan")),
        *(("--learning-rate", value) for value in ("0", "-1", "nan")),
        ("--binarize", "some"),
        ("--teacher-floor", "40"),
        ("--epochs", "1"),
        ("--switch-epoch", "2"),
        ("--student", "hrnet_w1000"),
        ("--senior-mask-fusion", "multiply"),
        ("--batch-size", "1000"),
        ("--ema", "2"),
    ],
)
def test_nonsense_settings_of_a_distillation(fail, with_senior, option, value):
    message = fail(*with_senior, f"{option}={value}").lower()
    name = option.removeprefix("--")
    assert any(word in message for word in (name, name.replace("-", " "), value, "--model"))


def test_settings_that_a_recipe_cannot_heed(fail, distill):
    assert "--switch-epoch" in fail(*distill, "--recipe", "fpd", "--switch-epoch", 1)
    assert "--binarize" in fail(*distill, "--recipe", "fpd", "--binarize", "both")
    assert "--binarize" in fail(*distill[:-2], "--recipe", "supervised", "--binarize", "teacher")


@pytest.mark.parametrize(
    ("option", "value"),
    [("--model", "hrnet_w1000"), ("--mask-fusion", "glue"), ("--schedule", "zigzag"), ("--batch-size", "900")],
)
def test_nonsense_settings_of_a_training(fail, train, option, value):
    assert value in fail(*train, option, value)
