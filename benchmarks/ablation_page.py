"""Writes docs/performance/ablation.md and its figures from the studies in benchmarks/results/ablation/.

    python benchmarks/ablation_page.py

`make results` runs it. What rules cannot say of a study is said by hand in benchmarks/results/ablation/notes.toml.
"""

import json
import sys
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, it sees only its own folder

from benchmarks.ablation.by_hand import filled  # noqa: E402
from benchmarks.ablation.findings import findings  # noqa: E402
from benchmarks.ablation.questions import answers, title  # noqa: E402
from benchmarks.ablation.repeated import repeated  # noqa: E402
from benchmarks.ablation.setting import made_with, setting  # noqa: E402
from benchmarks.ablation.study_file import StudyFile, read_studies  # noqa: E402
from benchmarks.ablation.tables import (  # noqa: E402
    cost_table,
    course_table,
    decoders_table,
    networks_table,
    pairs_table,
    persons_table,
    rows_table,
    teachers_table,
)
from kdkit.ablation import draw_curves, draw_differences  # noqa: E402
from kdkit_pose.ablation import FULL, LONG, SMALL  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "ablation"
PAGE = ROOT / "docs" / "performance" / "ablation.md"
IMAGES = ROOT / "docs" / "images"

# The first that a study has, as many as have colours of their own.
CURVES = (
    *("plain", "primary_only", "senior_only", "joint", "reversed", "odkd", "odkd_both"),
    *(
        "plain_binary_bce",
        "binary_bce_alike_soft",
        "reversed_bce_alike_soft",
        "binary_bce",
        "odkd_bce",
        "plain_bce",
    ),
)
COLOURS = 7

HEAD = """\
# Does it help?

<!-- Made by benchmarks/ablation_page.py from benchmarks/results/ablation/: mend those, or the script. -->
"""
BEFORE_ANSWERS = """
Students of ODKD beside students of other recipes, at equal steps, over several seeds. **This is not COCO**: the
people are drawn, unless a study says otherwise, and few; only their files' format and the metric, AP with ground
truth boxes, are COCO's. The answer is the interval's: *yes* or *no* where it leaves out 0, `*` by itself, `**`
also as one of all the differences of its study.

Rows learn by squared error, and binarize nothing unless their name says so; those with `bce` in their name learn
by binary cross-entropy. `kdkit-pose distill --recipe odkd` with its defaults is `binary_bce_alike` where its
teachers learned so too, as `kdkit-pose train` makes them, and `binary_bce` where they learned by squared error, as
published ones did. Without teachers the same student is `plain_binary_bce`. `odkd` and `plain` are both by squared
error.

"""
NOTHING = """
There are no results yet. The small study takes hours on two CPU cores, and can be stopped and gone on with:
"""
STUDY_COMMAND = """\
kdkit-pose ablate --synthetic {size} --labels {labels} --processes 2 \\
    --rows {rows} \\
    --seeds {seeds} --out runs/{out}{json}
"""
PAGE_COMMAND = "make results    # this page, from all files in benchmarks/results/ablation/\n"
READING = """
## How to read it

- **A difference** is of two rows with the same seeds: the same initial student, the same samples in the same
  order. The mean over seeds is followed by Student's interval, which holds the true mean in 95 of 100 cases. Seeds
  are all that varies: pictures and teachers stay, so the intervals say nothing of other people or teachers.
- **AP** is a fraction, of the last evaluation and not of the best one. A gain of 1 point is 0.01.
- **Marks**: `*`, the interval leaves out 0. Of twenty differences that are none, one has this mark by chance.
  `**`, it stays below 0.05 when p values are adjusted by Holm for all differences of the study, which few seeds
  seldom allow.
- **Cost** is in passes: persons that the student learned from, and persons that networks among the teachers were
  run on. Nothing is said of time: trainings of a study run side by side, or beside other work.
- **Every number** is in the file named below its table: each trial with its curve, the configuration, machine,
  versions and commit.

Rows are what [kdkit_pose.ablation](../api/pose_ablation.md) lists. Any machine can make the studies of
drawn people anew:
"""
COURSE = """\
How much more AP than {baseline} each row of as many steps has on the way, by steps: means over seeds, `*` where
the interval leaves out 0, as some of so many do by chance. The learning rate falls until the end, so that the
first steps of this training are no shorter one.
"""
DECODERS = """\
The same students by the codec's own decoding around the highest cell and by the centroid of the peak. A row of the
tables above is decoded by its own, that of its last stage's targets:
"""
AFTER_COMMANDS = """
The pictures of persons are made by `python benchmarks/ablation_pictures.py`, from the trained students in a
study's folder. A second run of a study in another folder, written to `benchmarks/results/ablation/repeated/` under
the study's name, is compared with the first. `python benchmarks/ablation_decoders.py` judges a study's students by
each decoder. [Compare recipes over seeds](../how-to/ablation.md) says how to do all this with your own student and
data.
"""


def make_page(studies: Sequence[StudyFile], summary: str = "") -> str:
    """Return the page's text.

    Args:
        studies: in the order of the page.
        summary: what all of them say, in few sentences by hand, its differences as `by_hand.filled` takes them.

    Raises:
        ValueError: if something said by hand names a difference that no file has.
    """
    if not studies:
        return f"{HEAD}{NOTHING}{_commands(studies)}{READING.split('Rows are')[0].rstrip()}\n"
    sections = "".join(_section(study) for study in studies)
    short = (
        f"**In short**, read by hand:\n\n{filled(summary, studies).strip()}\n\nBy studies:\n\n" if summary else ""
    )
    first = f"{HEAD}{BEFORE_ANSWERS}{short}{answers(studies)}\n"
    return f"{first}{sections}{READING}{_commands(studies)}{AFTER_COMMANDS}"


def _commands(studies: Sequence[StudyFile]) -> str:
    """How to make the studies of drawn people anew, each with its own rows and seeds, and the page."""
    drawn = [study for study in studies if "benchmark" in study.config]
    if drawn:
        commands = "".join(_command(study) for study in drawn)
    else:
        commands = STUDY_COMMAND.format(
            size="small", labels="coco", rows="core", seeds="0,1,2", out="benchmark", json=_json("small-coco")
        )
    return f"\n```sh\n{commands}{PAGE_COMMAND}```\n"


def _command(study: StudyFile) -> str:
    """How to make a study anew: the seeds that few rows have, then the rest and the file."""
    size, results = _size(study), study.results
    seeds, trials = study.content["seeds"], results.trials
    # A row that is not finished lacks some of these.
    common = [seed for seed in seeds if 2 * sum(seed in by_seed for by_seed in trials.values()) > len(trials)]
    further: dict[tuple[int, ...], list[str]] = {}
    for row, by_seed in trials.items():
        if extra := tuple(seed for seed in by_seed if seed not in common):
            further.setdefault(extra, [results.baseline]).append(row)
    grids = [(list(dict.fromkeys(rows)), extra, "") for extra, rows in further.items()]
    grids.append((list(study.content["variants"]), tuple(common), _json(study.name)))
    return "".join(
        STUDY_COMMAND.format(
            size=size,
            labels=study.config["benchmark"]["labels"],
            rows=",".join(rows),
            seeds=",".join(map(str, of_rows)),
            # Sizes have teachers of their own.
            out="benchmark" if size == "small" else f"benchmark-{size}",
            json=json_option,
        )
        for rows, of_rows, json_option in grids
    )


def _json(study: str) -> str:
    return f" --json benchmarks/results/ablation/{study}.json"


def _size(study: StudyFile) -> str:
    """Which of the benchmark's sizes a study is of; the small one where it is none of today's."""
    made = study.config["benchmark"].get("size")
    sizes = {"small": SMALL, "long": LONG, "full": FULL}
    return next((name for name, size in sizes.items() if json.loads(json.dumps(asdict(size))) == made), "small")


def draw_all(studies: Iterable[StudyFile], folder: Path) -> list[Path]:
    """Write the figures of all studies into a folder, and return their paths."""
    paths = []
    for study in studies:
        for kind, figure in (("differences", _differences(study)), ("curves", _curves(study))):
            if figure is not None:
                paths.append(folder / f"{study.picture(kind)}.png")
                # Without the program's version, the same figures give the same file.
                figure.savefig(paths[-1], metadata={"Software": None})
    return paths


def read_notes(path: Path) -> tuple[str, dict[str, dict[str, Any]]]:
    """Return what is said by hand of all studies, and of each."""
    notes = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return notes.pop("summary", ""), notes


def _section(study: StudyFile) -> str:
    source = f"From `{study.path}`.\n"
    heading = title(study)
    parts = [f"\n## {heading[0].upper()}{heading[1:]} {{#{study.name}}}\n", f"{setting(study)}\n"]
    if teachers := teachers_table(study):
        parts += ["The teachers' own figures, of one training each:\n", teachers, source]
    if networks := networks_table(study):
        parts += [
            "What the rows' networks are worth on the persons to be judged on, by what they had learned from:\n",
            networks,
            f"From `{study.networks_path}`.\n",
        ]
    parts += [rows_table(study), source]
    if study.picture_is_drawn("differences"):
        alt = f"Difference of each row to {study.results.baseline}: a point a seed, mean and interval"
        parts.append(f"![{alt}](../images/{study.picture('differences')}.png)\n")
    if pairs := pairs_table(study):
        parts += ["Between other rows:\n", pairs, source]
    if study.picture_is_drawn("curves"):
        parts.append(
            f"![AP over the steps: means over seeds in bands of their 95% intervals](../images/"
            f"{study.picture('curves')}.png)\n"
        )
    if course := course_table(study):
        parts += [COURSE.format(baseline=study.results.baseline), course, source]
    if decoders := decoders_table(study):
        parts += [DECODERS, decoders, f"From `{study.decoders_path}`.\n"]
    parts += ["What each row is, and what one training of it costs:\n", cost_table(study), source]
    parts += [f"### What it says {{#{study.name}-findings}}\n", f"{findings(study)}\n"]
    if "reading" in study.notes:
        parts.append(f"Read by hand: {filled(study.notes['reading'], [study]).strip()}\n")
    parts += [_persons(study), f"{made_with(study)}\n", repeated(study)]
    return "\n".join(filter(None, parts))


def _persons(study: StudyFile) -> str:
    """Return where the students differ most, if it was drawn."""
    persons = study.persons
    if persons is None:
        return ""
    plain, distilled = persons["plain"], persons["distilled"]
    seeds = ", ".join(map(str, persons["seeds"]))
    return "\n".join(
        [
            f"### Where {distilled} and {plain} differ most {{#{study.name}-persons}}\n",
            f"Of {persons['persons']:,} persons with {persons['least_labelled']} labelled keypoints or more, "
            f"those whose OKS (the mean over seeds {seeds}) {distilled} raises and lowers most, equally many. "
            f"Over all of them the mean difference is {persons['mean_difference']:+.4f}; {persons['raised']:,} "
            f"are raised and {persons['lowered']:,} lowered. These are the ends of a range, and prove nothing.\n",
            f"![Persons as the truth, {plain} and {distilled} have them](../images/{persons['picture']})\n",
            persons_table(study),
            f"From `docs/images/{study.picture('persons')}.json`.\n",
        ]
    )


def _differences(study: StudyFile) -> Figure | None:
    return draw_differences(study.results) if study.picture_is_drawn("differences") else None


def _curves(study: StudyFile) -> Figure | None:
    if not study.picture_is_drawn("curves"):
        return None
    there = [row.name for row in study.results.rows]
    shown = [name for name in CURVES if name in there][:COLOURS]
    return draw_curves(study.results, shown if len(shown) > 1 else there[:COLOURS])


def main() -> None:
    summary, notes = read_notes(RESULTS / "notes.toml")
    studies = read_studies(RESULTS, notes, IMAGES)
    drawn = draw_all(studies, IMAGES)
    for kind in ("differences", "curves"):
        for path in set(IMAGES.glob(f"ablation-*-{kind}.png")) - set(drawn):
            path.unlink()  # of a study that is no longer there
    PAGE.write_text(make_page(studies, summary), encoding="utf-8")
    for path in (*drawn, PAGE):
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
