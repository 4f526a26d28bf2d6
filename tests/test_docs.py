"""The site says nothing that is not so: its code runs, its links lead somewhere, every public name is on it."""

import importlib
import math
import os
import pkgutil
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest
import torch

import kdkit
import kdkit_pose

from .code_blocks import NEEDS_FILES, PRINTS, code_blocks, missing_imports, run_blocks

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {
    path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8") for path in sorted(DOCS.rglob("*.md"))
}
WITH_CODE = [page for page, text in PAGES.items() if "```python" in text]
API = [
    name
    for page, text in PAGES.items()
    if page.startswith("api/")
    for name in re.findall(r"^::: (\S+)", text, re.M)
]
EXTERNAL = re.compile(
    r"""<(?:script|img|iframe|source)[^>]*\bsrc=["']?(?:https?:)?//|<link[^>]*\bhref=["']?(?:https?:)?//"""
)


def public_packages() -> list[ModuleType]:
    found = [kdkit, kdkit_pose]
    for package in (kdkit, kdkit_pose):
        found += [
            importlib.import_module(module.name)
            for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
            if module.ispkg
        ]
    return found


def resolve(path: str) -> object:
    """Return what a dotted path names: a package, or something in a module."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name) if module else importlib.import_module(path)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    # Without its notice on MkDocs 2, which is in capitals, too.
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "WARNING" not in run.stderr
    return folder


def test_blocks_are_found():
    assert {"tutorial.md", "recipes.md", "how-to/loops.md"} <= set(WITH_CODE)
    for page, text in PAGES.items():
        blocks = code_blocks(text, "python")
        assert text.count("```python") == len(blocks), page
        assert text.count(NEEDS_FILES) == sum(block.needs_files for block in blocks), page
        assert text.count(PRINTS) == sum(block.prints is not None for block in blocks), page


@pytest.mark.parametrize("page", WITH_CODE)
def test_code_compiles_and_imports_what_there_is(page):
    for block in code_blocks(PAGES[page], "python"):
        compile(block.code, f"{page}, line {block.line}", "exec")
        assert not missing_imports(block.code), f"{page}, line {block.line}"


@pytest.mark.parametrize("page", WITH_CODE)
def test_code_runs_in_order(page, tmp_path):
    blocks = [block for block in code_blocks(PAGES[page], "python") if not block.needs_files]
    assert run_blocks(blocks, page, tmp_path) == ""


def test_each_loop_ends_with_a_stage_that_counts_steps(tmp_path):
    setup, *loops = code_blocks(PAGES["how-to/loops.md"], "python")
    code = setup.code.replace("Epochs, ModuleTeacher", "ModuleTeacher, Steps")
    # Of two steps an epoch, or of one: the last stage ends inside an epoch, or as it does.
    code = code.replace("Epochs(1)", "Steps(1)", 1).replace("Epochs(1)", "Steps(2)", 1)
    blocks = [replace(setup, code=code), *(replace(loop, prints=None) for loop in loops)]
    assert run_blocks(blocks, "loops.md", tmp_path) == ""


def test_the_codec_on_the_page_on_extending_keeps_what_a_codec_promises():
    (block,) = (one for one in code_blocks(PAGES["extending.md"], "python") if "class Cone" in one.code)
    names: dict[str, Any] = {"__name__": "page", "dataclass": dataclass, "torch": torch}
    exec(block.code, names)
    codec = names["codec"]
    maps, weights = codec.encode([[50.0, 70.0], [5000.0, 70.0], [math.nan, 0.0]], [2, 2, 0])
    assert weights.tolist() == [1, 0, 0]  # outside of the picture; not labelled, so not looked at
    assert maps.max((1, 2)) == pytest.approx([maps[0].max(), 0, 0])
    elsewhere = torch.from_numpy(maps)[None].to("meta")  # on another device
    assert [part.device.type for part in codec._decode_peaks(elsewhere)] == ["meta", "meta"]


def test_what_the_page_on_extending_measures_is_where_the_network_is():
    names: dict[str, Any] = {"__name__": "page"}
    exec(code_blocks(PAGES["extending.md"], "python")[0].code, names)
    seen = []

    class Elsewhere(torch.nn.Conv2d):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            seen.append(image.device)
            return torch.zeros(len(image), 1, 1, 1)

    names["evaluate"](Elsewhere(3, 1, 1, device="meta"), ("image",))
    assert seen == [torch.device("meta")]


def test_each_way_of_learning_from_one_another_is_shown_in_25_lines():
    setup, *shown = code_blocks(PAGES["how-to/online.md"], "python")
    assert "import" in setup.code
    assert len(shown) >= 3
    assert all(len(block.code.splitlines()) <= 25 for block in shown)


def test_what_a_block_prints_is_compared(tmp_path):
    document = f"```python\nprint(1 + 1)\n```\n\n{PRINTS}\n```text\n3\n```\n"
    assert "prints\n2\nand not\n3" in run_blocks(code_blocks(document, "python"), "a page", tmp_path)
    assert run_blocks(code_blocks(document.replace("3", "2"), "python"), "a page", tmp_path) == ""


@pytest.mark.parametrize("page", PAGES)
def test_every_linked_file_exists(page):
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", PAGES[page])
    assert not [link for link in links if not (DOCS / page).parent.joinpath(link).exists()]


@pytest.mark.parametrize("package", public_packages(), ids=lambda package: package.__name__)
def test_every_public_name_is_on_a_page_of_the_api(package):
    shown = [resolve(name) for name in API]
    missing = [
        f"{package.__name__}.{name}"
        for name in package.__all__
        if not any(getattr(package, name) is thing for thing in shown)
    ]
    assert not missing, f"add them to a page in docs/api/, as '::: {missing[0]}'"


def test_the_site_is_built_without_a_warning_and_shows_the_api(site):
    shown = "".join(path.read_text(encoding="utf-8") for path in (site / "api").glob("*.html"))
    # A package's own page shows only its text, without a heading.
    names = [name for name in API if not isinstance(resolve(name), ModuleType)]
    assert names
    assert not [name for name in names if f'id="{name}"' not in shown]


def test_the_docstrings_are_shown_as_they_are_meant(site):
    for path in (site / "api").glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert "<blockquote>" not in text, f"{path.name}: a doctest is shown as a quotation"
        assert not re.search(r":(?:class|func|meth|mod|attr):", text), f"{path.name}: a role is shown as it is"


def test_the_site_fetches_nothing_from_elsewhere(site):
    pages = [path for path in site.rglob("*.html") if EXTERNAL.search(path.read_text(encoding="utf-8"))]
    assert not pages
    assert EXTERNAL.search('<script src="https://example.org/mermaid.js">')


@pytest.mark.parametrize("drawing", sorted(DOCS.rglob("*.svg")), ids=lambda path: path.name)
def test_drawings_are_whole_and_stand_alone(drawing):
    root = ElementTree.parse(drawing).getroot()
    assert root.get("viewBox")
    text = drawing.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert "http" not in text
    assert "<script" not in text
