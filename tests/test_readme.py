"""The README says nothing that is not so: its code runs, its options and files exist."""

import re
import shlex
from pathlib import Path

import pytest

from kdkit_pose_cli.app import COMMANDS, GROUPS, load_command

from .code_blocks import NEEDS_FILES, code_blocks, missing_imports, run_blocks

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    lines = "".join(block.code for block in code_blocks(README, "sh")).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("kdkit-pose ")]


PYTHON = code_blocks(README, "python")


def test_blocks_and_commands_are_found():
    assert {block.needs_files for block in PYTHON} == {True, False}
    assert README.count("```python") == len(PYTHON)
    assert README.count("\nkdkit-pose ") == len(commands()) > 0
    assert README.count(NEEDS_FILES) == sum(block.needs_files for block in PYTHON)


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: f"line {block.line}")
def test_code_compiles_and_imports_what_there_is(block):
    compile(block.code, "README.md", "exec")
    assert not missing_imports(block.code)


RUNNABLE = [block for block in PYTHON if not block.needs_files]


@pytest.mark.parametrize("block", RUNNABLE, ids=lambda block: f"line {block.line}")
def test_code_runs_as_it_stands(block, tmp_path):
    assert run_blocks([block], "README.md", tmp_path) == ""


@pytest.mark.parametrize("line", commands())
def test_command_line_is_accepted(line):
    _, name, *arguments = shlex.split(line)
    if name in GROUPS:
        name, arguments = f"{name} {arguments[0]}", arguments[1:]
    command = load_command(name)
    # Parses, converts and requires as a real call does, but runs nothing.
    context = command.make_context(name, arguments)
    given = {part for part in arguments if part.startswith("--")}
    known = {option for parameter in command.params for option in parameter.opts}
    assert given <= known
    assert context.args == []


def test_every_command_named_in_the_text_exists():
    named = set(re.findall(r"kdkit-pose ([a-z]+)", README))
    assert named <= COMMANDS.keys() | GROUPS.keys()


def test_every_make_target_named_in_the_text_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"demo", "test"} <= set(re.findall(r"(?:`|^)make ([a-z]+)", README, re.MULTILINE)) <= targets


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/architecture.md"])
def test_every_linked_file_exists(document):
    path = ROOT / document
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8"))
    missing = [link for link in links if not (path.parent / link).exists()]
    assert not missing
