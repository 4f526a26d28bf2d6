"""The README says nothing that is not so: its code runs, its options and files exist."""

import ast
import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from kdkit_pose.cli.app import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NEEDS_FILES = "<!-- needs files -->"


def code_blocks(language: str) -> list[tuple[int, str, bool]]:
    """Line, code, and whether it needs files that the reader has, of every block in a language."""
    pattern = rf"^({NEEDS_FILES}\n)?```{language}\n(.*?)^```$"
    found = re.finditer(pattern, README, re.MULTILINE | re.DOTALL)
    return [(README.count("\n", 0, match.start(2)) + 1, match[2], bool(match[1])) for match in found]


def commands() -> list[str]:
    lines = "".join(code for _, code, _ in code_blocks("sh")).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("kdkit-pose ")]


PYTHON = code_blocks("python")


def imported_names(code: str) -> list[tuple[str, str]]:
    imports = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)]
    return [(node.module or "", alias.name) for node in imports for alias in node.names]


def test_blocks_and_commands_are_found():
    assert {needs_files for *_, needs_files in PYTHON} == {True, False}
    assert README.count("```python") == len(PYTHON)
    assert README.count("\nkdkit-pose ") == len(commands()) > 0
    assert README.count(NEEDS_FILES) == sum(needs_files for *_, needs_files in PYTHON)


@pytest.mark.parametrize("code", [pytest.param(code, id=f"line {line}") for line, code, _ in PYTHON])
def test_code_compiles_and_imports_what_there_is(code):
    compile(code, "README.md", "exec")
    for module, name in imported_names(code):
        assert hasattr(importlib.import_module(module), name), f"{module} has no {name}"


@pytest.mark.parametrize(
    "code", [pytest.param(code, id=f"line {line}") for line, code, needs in PYTHON if not needs]
)
def test_code_runs_as_it_stands(code, tmp_path):
    (tmp_path / "snippet.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-W", "error", "snippet.py"]
    # Threads of so small networks mostly wait for each other.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("line", commands())
def test_command_line_is_accepted(line):
    _, name, *arguments = shlex.split(line)
    command = get_command(app).commands[name]
    # Parses, converts and requires as a real call does, but runs nothing.
    context = command.make_context(name, arguments)
    given = {part for part in arguments if part.startswith("--")}
    known = {option for parameter in command.params for option in parameter.opts}
    assert given <= known
    assert context.args == []


def test_every_command_named_in_the_text_exists():
    named = set(re.findall(r"kdkit-pose ([a-z]+)", README))
    assert named <= get_command(app).commands.keys()


def test_every_make_target_named_in_the_text_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"demo", "test"} <= set(re.findall(r"(?:`|^)make ([a-z]+)", README, re.MULTILINE)) <= targets


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/architecture.md"])
def test_every_linked_file_exists(document):
    path = ROOT / document
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8"))
    missing = [link for link in links if not (path.parent / link).exists()]
    assert not missing
