"""Writes docs/performance/benchmarks.md from the files of results: figures and targets side by side.

    python benchmarks/page.py

`make bench` and `make bench-gpu` run it at their end. What a missed target was missed by is said by hand in
benchmarks/notes.toml.
"""

import ast
import sys
import tomllib
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, it sees only its own folder

from benchmarks.measuring import Record, Results  # noqa: E402
from benchmarks.measuring.table import claim, measured, numbers, target, verdict  # noqa: E402
from benchmarks.profiling.records import PREFIX  # noqa: E402

BENCHMARKS = ROOT / "benchmarks"
PAGE = ROOT / "docs" / "performance" / "benchmarks.md"

INTRODUCTION = """\
# Benchmarks

<!-- Made by benchmarks/page.py from the files in benchmarks/results/: mend those, or the suites. -->

Every figure below was measured by a suite in `benchmarks/suites/`, and any machine can measure its own:

```sh
make bench        # the CPU's suites: some minutes on two cores
make bench-gpu    # those of a CUDA device
```

Both print the table, put what they found into `benchmarks/results/<machine>.json`, where the results of
other suites stay, and make this page anew. One suite alone:

```sh
python -m pytest -c benchmarks/suites/pytest.ini benchmarks/suites/evaluation_bench.py
```

What claims something is a ratio within one run: the candidates take turns in one process, round by round and in
random order, so that what else the machine does hits all of them alike. A ratio is taken of the two times of each
round, which lie side by side: what slows the machine down for a while slows both. The figure is the median of
these ratios, and its interval holds the medians of 95 per cent of 2000 resamples of the rounds; none is left out.
So a figure may differ a little from the ratio of the two times listed below its table, which are medians, too, but
each of its own. A CUDA device's times are those between two of its events,
over several sets of random inputs, with its cache emptied before. The loops that kdkit is compared with are in
`benchmarks/reference/`: a minimal one written by hand, one as older pose repositories write it, and the limit,
which is the teacher's forward alone and the student's training step alone, each at its best. Loading is compared
with a stand-in for mmpose's training pipeline, which is no dependency; `benchmarks/mmpose_loader.py` measures the
package itself beside it.
"""
NOTHING = "\nNothing has been measured yet.\n"
_UNNOTED = {"missed": "no cause is noted.", "not told": "the interval holds the target; nothing more is noted."}
GPU_SUITE = "distill_gpu"
NO_GPU = """
## CUDA devices

No GPU was at hand yet, so none of these targets has been measured. From HRNet-W48 with the mask to HRNet-W16, at
256x192, in bf16 and batches of 64, 256 and 1024: 0.90 or more of the limit; 3 times or more the reference eager
loop; with cached targets 0.95 or more of plain training, and 2.5 times or more the best step with the teacher;
memory within 5 per cent of the student's training, the teacher's weights and one set of its activations.
"""


def make_page(results: Iterable[Results], notes: Mapping[str, str]) -> str:
    """Return the page's text.

    Args:
        results: of each machine.
        notes: why a target was missed, by ``suite: name`` of the record.
    """
    found = list(results)
    sections = "".join(_machine(one, notes) for one in found)
    on_gpu = any(record.suite == GPU_SUITE for one in found for record in one.records)
    return INTRODUCTION + (sections or NOTHING) + ("" if on_gpu else NO_GPU)


def read_results(folder: Path) -> list[Results]:
    """Return all results in a folder, by the files' names; profiles, spoilt files and kills are no times."""
    paths = sorted(path for path in folder.glob("*.json") if not path.name.startswith((PREFIX, "fuzz-", "chaos-")))
    return [Results.read(path) for path in paths]


def read_notes(path: Path) -> dict[str, str]:
    """Return the notes, by ``suite: name``."""
    return {key: str(text) for key, text in tomllib.loads(path.read_text(encoding="utf-8")).items()}


def _machine(results: Results, notes: Mapping[str, str]) -> str:
    machine = results.machine
    gpu = f", {machine.gpu}" if machine.gpu else ""
    parts = [f"\n## {machine.name}\n\n{machine.cpu}, {machine.cores} cores{gpu}.\n"]
    for suite, records in groupby(results.records, key=lambda record: record.suite):
        parts.append(_suite(suite, list(records), notes))
    return "".join(parts)


def _suite(suite: str, records: list[Record], notes: Mapping[str, str]) -> str:
    head = ["| measurement | figure | value (95% interval) | target | verdict |", "|---|---|---|---|---|"]
    lines = [f"\n### {suite}\n", _description(suite), *head]
    for record in records:
        for place, figure in enumerate(record.figures):
            found = verdict(figure)
            name = record.name if place == 0 else ""
            cells = (name, claim(figure), measured(figure), target(figure), f"**{found}**" if found else "")
            lines.append("| " + " | ".join(cells) + " |")
    lines.append("")
    for record in records:
        found = {verdict(figure) for figure in record.figures}
        for word, unnoted in _UNNOTED.items():
            if word in found:
                cause = notes.get(f"{record.suite}: {record.name}", unnoted)
                lines.append(f"{word.capitalize()}, {record.name}: {cause}\n")
    lines += [f"- {record.name}: {_medians(record)}." for record in records if record.candidates]
    lines += [f"- {said}." for said in dict.fromkeys(map(_circumstances, records))]
    return "\n".join(lines) + "\n"


def _medians(record: Record) -> str:
    """Return what a call of each candidate took, and how it was timed."""
    medians = []
    for label, seconds in record.candidates.items():
        (shown,), unit = numbers([seconds], "s")
        medians.append(f"{label} {shown} {unit}")
    threads = f"{record.threads} thread{'s' if record.threads != 1 else ''}"
    return f"{', '.join(medians)} ({record.rounds} rounds by {record.clock}, {threads})"


def _circumstances(record: Record) -> str:
    """Return when and with what a record was measured."""
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    return f"Measured on {record.date} at commit {record.commit} with {versions}"


def _description(suite: str) -> str:
    """Return what the suite's file says of itself."""
    path = BENCHMARKS / "suites" / f"{suite}_bench.py"
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) if path.exists() else None
    return text.split("\n\n")[0] + "\n" if text else ""


def main() -> None:
    text = make_page(read_results(BENCHMARKS / "results"), read_notes(BENCHMARKS / "notes.toml"))
    PAGE.write_text(text, encoding="utf-8")
    print(PAGE.relative_to(ROOT))


if __name__ == "__main__":
    main()
