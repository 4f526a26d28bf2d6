"""The code blocks of a document: found, compiled, and run as a reader would run them."""

import ast
import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.started import WARNINGS

NEEDS_FILES = "<!-- needs files -->"
"""Before a block: it needs files that the reader has, so it is compiled and its imports are looked up."""

OTHERS_WARN = "<!-- other libraries warn -->"
"""Before a block: warnings, elsewhere errors, are those of a library that it uses."""

PRINTS = "<!-- prints -->"
"""Before a text block: what the code block before it prints, with ``...`` for what differs between machines."""

# Runs blocks one after the other in one namespace; a traceback shows the document's own lines.
RUNNER = """
import contextlib, doctest, io, json, sys, warnings
BLOCKS, DOCUMENT = json.loads(sys.argv[1]), sys.argv[2]
for LINE, CODE, EXPECTED, MAY_WARN in BLOCKS:
    PRINTED = io.StringIO()
    with contextlib.ExitStack() as STACK:
        if EXPECTED is not None:
            STACK.enter_context(contextlib.redirect_stdout(PRINTED))
        if MAY_WARN:
            STACK.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
        exec(compile("\\n" * (LINE - 1) + CODE, DOCUMENT, "exec"), globals())
    OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    if EXPECTED is not None and not doctest.OutputChecker().check_output(EXPECTED, PRINTED.getvalue(), OPTIONS):
        sys.exit(f"{DOCUMENT}, line {LINE}: the block prints\\n{PRINTED.getvalue()}and not\\n{EXPECTED}")
"""


@dataclass(frozen=True)
class CodeBlock:
    """A block of a document.

    Attributes:
        line: where its code begins, from 1.
        code: its text.
        needs_files: whether it cannot run as it stands.
        prints: what it prints, where the document says so.
        others_warn: whether libraries that it uses may warn.
    """

    line: int
    code: str
    needs_files: bool
    prints: str | None
    others_warn: bool


def code_blocks(text: str, language: str) -> list[CodeBlock]:
    """Return a document's blocks in a language, in order."""
    marks = f"(?:(?:{NEEDS_FILES}|{OTHERS_WARN})\n)*"
    pattern = rf"^({marks})```{language}\n(.*?)^```$(?:\s+{PRINTS}\n```text\n(.*?)^```$)?"
    return [
        CodeBlock(
            line=text.count("\n", 0, match.start(2)) + 1,
            code=match[2],
            needs_files=NEEDS_FILES in match[1],
            prints=match[3],
            others_warn=OTHERS_WARN in match[1],
        )
        for match in re.finditer(pattern, text, re.MULTILINE | re.DOTALL)
    ]


def missing_imports(code: str) -> list[str]:
    """Return what a block imports by ``from`` and does not get; raises SyntaxError if it is no Python."""
    imports = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)]
    names = [(node.module or "", alias.name) for node in imports for alias in node.names]
    return [f"{module}.{name}" for module, name in names if not _importable(module, name)]


def _importable(module: str, name: str) -> bool:
    if hasattr(importlib.import_module(module), name):
        return True
    return importlib.util.find_spec(f"{module}.{name}") is not None


def run_blocks(blocks: Sequence[CodeBlock], document: str, folder: Path) -> str:
    """Run blocks in order in one process, warnings as errors; return what went wrong, or nothing."""
    listed = json.dumps([(block.line, block.code, block.prints, block.others_warn) for block in blocks])
    (folder / "run_blocks.py").write_text(RUNNER, encoding="utf-8")
    command = [sys.executable, *WARNINGS, "run_blocks.py", listed, document]
    # Threads of so small networks mostly wait for each other.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    return "" if run.returncode == 0 else run.stderr or f"exit code {run.returncode}"
