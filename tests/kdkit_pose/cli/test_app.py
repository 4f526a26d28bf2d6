import inspect
import os
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from kdkit import ConfigurationError
from kdkit_pose.cli import main
from kdkit_pose_cli.app import COMMANDS, GROUPS, app, load_command


@pytest.fixture
def help_of(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")

    def show(*command):
        result = CliRunner().invoke(app, [*command, "--help"])
        assert result.exit_code == 0
        return result.stdout

    return show


def run_python(*arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False
    )


def test_help_names_every_command_in_order(help_of):
    text = help_of()
    # A group stands where its commands do.
    known = {command.split()[0]: summary for command, (_, summary) in COMMANDS.items()} | GROUPS
    assert _listed(text) == [(command, summary.split()[0]) for command, summary in known.items()]
    assert "--debug" in text


@pytest.mark.parametrize("group", GROUPS)
def test_help_of_a_group_names_its_commands_in_a_line_each(help_of, group):
    text = help_of(group)
    under = {name.split()[1]: summary for name, (_, summary) in COMMANDS.items() if name.startswith(f"{group} ")}
    assert _listed(text) == [(command, summary.split()[0]) for command, summary in under.items()]
    assert all(summary in text for summary in (*under.values(), GROUPS[group]))


def _listed(text):
    return re.findall(r"^  ([a-z-]+)  +(\w+)", text.partition("Commands:")[2], re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_listed_with_the_first_line_of_its_docstring(command):
    _, summary = COMMANDS[command]
    loaded = load_command(command)
    assert loaded.name == command.split()[-1]
    assert inspect.getdoc(loaded.callback).splitlines()[0] == summary


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        *(([], 0), (["--help"], 0), (["--debug"], 0), (["nonsense"], 2), (["--wings"], 2)),
        *((["cache"], 0), (["cache", "--help"], 0), (["cache", "nonsense"], 2)),
    ],
)
def test_the_program_helps_without_importing_what_commands_need(arguments, code):
    program = """
import sys
from kdkit_pose_cli import main
try:
    main()
except SystemExit as ended:
    slow = {"torch", "numpy", "kdkit", "kdkit_pose"} & sys.modules.keys()
    sys.exit(f"imported: {slow}" if slow else ended.code)
"""
    ended = run_python("-c", program, *arguments)
    assert ended.returncode == code, ended.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_explains_and_shows_an_example_that_names_real_options(help_of, command):
    text = help_of(*command.split())
    assert f"kdkit-pose {command}" in text.partition("Example:")[2]
    options = text.partition("Options:")[2]
    # No name is cut short at 80 columns, and no option is without an explanation.
    assert "…" not in text
    known = set(re.findall(r"--[a-z][a-z-]+", options))
    example = text.partition("Example:")[2].partition("Options:")[0]
    assert set(re.findall(r"--[a-z][a-z-]+", example)) <= known
    for line in text.splitlines():
        assert len(line) <= 80


def test_without_arguments_it_helps(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["kdkit-pose"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert not caught.value.code
    assert "distill" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "nonsense"),
        (["train"], "--model"),
        (["train", "--wings"], "--wings"),
        (["train", "--epochs", "many"], "--epochs"),
        (["train", "--epochs", "0"], "--epochs"),
        (["distill", "--recipe", "borscht"], "borscht"),
        (["score", "--annotations"], "--annotations"),
    ],
)
def test_wrong_usage_is_one_line_too(fail, arguments, words):
    assert words in (message := fail(*arguments))
    assert "--help" in message


def test_success_has_exit_code_0(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(
        sys, "argv", ["kdkit-pose", "synthesize", "--out", str(tmp_path), "--train", "1", "--val", "0"]
    )
    with pytest.raises(SystemExit) as caught:
        main()
    assert not caught.value.code
    assert "person_keypoints_train.json" in capsys.readouterr().out


@pytest.mark.parametrize("place", [0, 1, 3, 5])
def test_debug_anywhere_raises_the_error_itself(monkeypatch, fail, tmp_path, place):
    arguments = ["synthesize", "--out", str(tmp_path), "--crowded", "7"]
    assert "crowded" in fail(*arguments)
    monkeypatch.setattr(sys, "argv", ["kdkit-pose", *arguments[:place], "--debug", *arguments[place:]])
    with pytest.raises(ConfigurationError, match="crowded"):
        main()


def test_a_traceback_is_seen_only_with_debug(tmp_path):
    program = ["-c", "from kdkit_pose.cli import main; main()"]
    arguments = [
        "score",
        "--annotations",
        str(tmp_path / "none.json"),
        "--results",
        "r.json",
        "--boxes",
        "detector",
    ]
    plain = run_python(*program, *arguments)
    assert (plain.returncode, plain.stdout) == (2, "")
    assert plain.stderr.count("\n") == 1
    debug = run_python(*program, "--debug", *arguments)
    assert debug.returncode != 0
    assert "Traceback" in debug.stderr


def test_an_error_of_the_system_names_the_file(fail, chain, tmp_path):
    (tmp_path / "file").touch()
    message = fail("synthesize", "--out", tmp_path / "file", "--train", 1, "--val", 0)
    assert str(tmp_path / "file") in message
    assert "Errno" not in message
