"""Files that cannot be written are noticed before anything is read; those written are named at the end."""

import tempfile

import pytest

from kdkit import ConfigurationError
from kdkit_pose.cli.outputs import check_outputs, show_written

# What each command reads is not there: an output that cannot be written is told first.
COMMANDS = {
    "evaluate": ("--checkpoint", "none.st", "--annotations", "none.json", "--images", "none"),
    "score": ("--annotations", "none.json", "--results", "none.json", "--boxes", "detector"),
    "predict": ("--checkpoint", "none.st", "none.jpg"),
    "export": ("--checkpoint", "none.st", "--format", "safetensors"),
    "models": ("no_such_network",),
}
OUTPUTS = [
    *(("evaluate", option) for option in ("--results", "--json", "--details")),
    *(("score", option) for option in ("--json", "--details")),
    *(("predict", "--out"), ("export", "--out"), ("models", "--json")),
]


@pytest.fixture
def in_folder(monkeypatch, tmp_path):
    """A working folder with a file and a folder in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize(("command", "option"), OUTPUTS)
def test_a_place_below_a_file_is_noticed_first(fail, in_folder, command, option):
    message = fail(command, *COMMANDS[command], option, "file/below/out")
    assert f"{option} 'file/below/out" in message
    assert "is a file: give a folder" in message
    assert (in_folder / "file").read_text() == "mine"


@pytest.mark.parametrize(("command", "option"), [pair for pair in OUTPUTS if pair[0] != "predict"])
def test_a_folder_in_the_files_place_is_noticed_first(fail, in_folder, command, option):
    assert f"{option} 'folder' is a folder" in fail(command, *COMMANDS[command], option, "folder")


@pytest.mark.parametrize(
    ("command", "option", "read"),
    [
        *(("evaluate", "--json", read) for read in ("--checkpoint", "--annotations", "--against", "--boxes")),
        *(("evaluate", "--details", read) for read in ("--predicted-masks", "--skeleton", "--sigmas")),
        ("evaluate", "--results", "--annotations"),
        *(("score", "--json", read) for read in ("--annotations", "--results", "--against", "--sigmas")),
        *(("export", "--out", read) for read in ("--checkpoint", "--skeleton", "--sigmas")),
    ],
)
def test_nothing_that_is_read_is_replaced(fail, in_folder, command, option, read):
    message = fail(command, *COMMANDS[command], read, "file", option, "folder/../file")
    assert f"{option} 'folder/../file' would replace {read}" in message
    assert (in_folder / "file").read_text() == "mine"


@pytest.mark.parametrize("read", ["--boxes", "--annotations", "--checkpoint"])
def test_predictions_do_not_replace_their_boxes(fail, in_folder, read):
    boxes = in_folder / "out" / "results.json"
    boxes.parent.mkdir()
    boxes.write_text("[]")
    assert f"would replace {read}" in fail("predict", *COMMANDS["predict"], "--out", "out", read, boxes)
    assert boxes.read_text() == "[]"


def test_two_outputs_are_two_files(tmp_path):
    outputs = {"--json": tmp_path / "a.json", "--details": tmp_path / "b" / ".." / "a.json"}
    with pytest.raises(ConfigurationError, match=r"--details .* would replace the file of --json"):
        check_outputs(outputs, {})


@pytest.mark.parametrize("name", ["student.safetensors", "best.pt", "student.onnx"])
def test_figures_do_not_replace_a_network(tmp_path, name):
    network = tmp_path / name
    check_outputs({"--json": network}, {})  # a name is no reason
    network.write_bytes(b"weights")
    with pytest.raises(ConfigurationError, match=f"--json .*{name}' would replace a network's file"):
        check_outputs({"--json": network}, {})
    check_outputs({"--out": network}, {}, networks=True)


def test_what_can_be_written_passes_and_leaves_no_trace(in_folder):
    outputs = {"--json": in_folder / "new" / "deep" / "a.json", "--details": in_folder / "file", "--results": None}
    before = sorted(in_folder.rglob("*"))
    # An input that is no file, such as a skeleton's name or one that is missing, is no one's to replace.
    check_outputs(outputs, {"--skeleton": "coco", "--boxes": None, "--checkpoint": in_folder / "new" / "none"})
    assert sorted(in_folder.rglob("*")) == before


def test_a_folder_that_takes_no_files_is_told(monkeypatch, tmp_path):
    def refuse(**arguments):
        assert arguments["dir"] == tmp_path
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(ConfigurationError, match=r"--out .*a.onnx.* no file can be made \(Permission denied\)"):
        check_outputs({"--out": tmp_path / "new" / "a.onnx"}, {})


def test_each_file_written_is_a_line_whatever_its_name(capsys, tmp_path):
    show_written(tmp_path / "[bold]a.json", None, tmp_path / "b.json")
    assert capsys.readouterr().out.splitlines() == [
        f"written: {tmp_path / '[bold]a.json'}",
        f"written: {tmp_path / 'b.json'}",
    ]
