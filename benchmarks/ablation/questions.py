"""The questions that the page answers first, each by the differences that tell."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.ablation.comparison import Comparison, known
from benchmarks.ablation.study_file import StudyFile
from kdkit.ablation.table import interval_words


@dataclass(frozen=True)
class Question:
    """A question and what answers it.

    Args:
        text: the question.
        pairs: regular expressions of the rows (one, minus another) whose difference answers; a better one is a
            yes.
        otherwise: the answer where the other row is better.
        teachers: whether the teachers' own figures answer, too: the senior's with and without the mask.
        by_loss: whether answers are counted by the loss that rows learn by.
    """

    text: str
    pairs: Sequence[tuple[str, str]]
    otherwise: str = "no"
    teachers: bool = False
    by_loss: bool = True

    def answering(self, study: StudyFile) -> list[Comparison]:
        """Return the differences of a study that answer, in the pairs' order."""
        return [
            one
            for variant, other in self.pairs
            for comparison in study.comparisons
            for one in (comparison, comparison.turned)
            if re.fullmatch(variant, one.variant) and re.fullmatch(other, one.other)
        ]


QUESTIONS = (
    Question(
        "Does ODKD beat the plain student at equal steps?",
        (
            ("odkd", "plain"),
            ("odkd_both", "plain"),
            ("odkd_bce", "plain_bce"),
            ("binary_bce(_alike(_soft)?)?", "plain_binary_bce"),
        ),
    ),
    Question(
        "Is ODKD better than one teacher alone?",
        (
            ("odkd", "fpd|primary_only|senior_only"),
            ("binary_bce_alike_soft", "(blind|primary|senior)_only_bce_alike_soft"),
        ),
    ),
    Question(
        "Does the order matter?",
        (
            ("odkd", "reversed"),
            ("odkd", "joint"),
            ("binary_bce_alike_soft", "reversed_bce_alike_soft"),
            ("binary_bce_alike_soft", "joint_bce_alike_soft"),
        ),
        otherwise="yes, the other way round",
    ),
    Question(
        "Does binarization help?",
        (
            ("odkd_(truth|teacher)", "odkd"),
            (r"odkd_both(_[\d.]+)?|binary_mse", "odkd"),
            ("binary_bce", "odkd_bce"),
            ("plain_binary_bce", "plain_bce"),
            ("binary_bce_alike", "binary_bce_alike_soft"),
        ),
    ),
    Question(
        "Is another threshold than 0.5 better?",
        ((r"odkd_both_[\d.]+", "odkd_both"), (r"plain_binary_bce_[\d.]+", "plain_binary_bce")),
    ),
    Question(
        "Is cross-entropy, with its sigmoid (which `binary_mse_sigmoid` has, too), better than squared error?",
        (("binary_bce", "binary_mse_sigmoid"), ("plain_bce", "plain"), ("binary_bce", "binary_mse")),
        by_loss=False,
    ),
    Question(
        "Does the mask help?",
        (
            ("odkd", "odkd_blind"),
            ("senior_only", "fpd"),
            ("binary_bce_alike_soft", "binary_bce_alike_soft_blind"),
            ("senior_only_bce_alike_soft", "blind_only_bce_alike_soft"),
        ),
        teachers=True,
    ),
)


LOSSES = ("By cross-entropy", "By squared error")


def loss_of(one: Comparison) -> str:
    """Return by which loss the first row of a difference learns, of :data:`LOSSES`, as its name says it."""
    return LOSSES[0] if "_bce" in one.variant else LOSSES[1]


def answers(studies: Sequence[StudyFile]) -> str:
    """Return every question that a study has rows for, with its answers by study."""
    texts = [*(_answered(question, studies) for question in QUESTIONS), _versions(studies)]
    return "\n".join(filter(None, texts))


def answer(comparison: Comparison, otherwise: str = "no") -> str:
    """Return the word that the interval allows.

    >>> from kdkit.ablation import Interval
    >>> answer(Comparison("odkd", "plain", Interval(0.02, -0.01, 0.05, 3)))
    'not shown with 3 seeds'
    """
    if comparison.verdict == "open":
        return f"not shown with {comparison.seeds}"
    return "yes" if comparison.verdict == "better" else otherwise


def _answered(question: Question, studies: Sequence[StudyFile]) -> str:
    parts: list[str] = []
    words = {loss: Counter[str]() for loss in LOSSES}
    for study in studies:
        answering = question.answering(study)
        for one in answering:
            words[loss_of(one)][answer(one, question.otherwise).split(" with ")[0]] += 1
        lines = _of_teachers(study) if question.teachers else []
        lines += [_line(one, question.otherwise, study) for one in answering]
        lines = [f"        - {line}" for line in lines]
        if lines:
            parts.append("\n".join([f"    - [{title(study)}](#{study.name})", *lines]))
    if not parts:
        return ""
    if question.by_loss:
        told = " ".join(f"{loss}: {_counted(words[loss])}." for loss in LOSSES)
    else:
        told = f"{_counted(sum(words.values(), Counter())).capitalize()}."
    return "\n".join([f"- **{question.text}** {told}", *parts])


def _counted(words: Counter[str]) -> str:
    counts = (f"{count} times {word}" if count > 1 else f"once {word}" for word, count in words.items())
    return ", ".join(counts) or "not tried"


def _line(one: Comparison, otherwise: str, study: StudyFile) -> str:
    line = f"**{answer(one, otherwise)}**: {one.name} {one.value}"
    line = line if one.verdict == "open" else f"{line} `{one.mark}`, {one.seeds}"
    if (before := study.before_more_seeds(one)) is not None:
        line += f"; with the first {before.count}, before others were added, {interval_words(before, sign=True)}"
    return line


def _versions(studies: Sequence[StudyFile]) -> str:
    """What the rows that vary ODKD are beside it, by the same loss, of each study that has two or more of them."""
    lines = []
    for study in studies:
        tried = known(
            one
            for comparison in study.comparisons
            for one in (comparison, comparison.turned)
            if one.other == "odkd"
            and re.fullmatch("(odkd|binary)_.+", one.variant)
            and loss_of(one) == "By squared error"  # another loss gains without teachers, too
        )
        if len(tried) > 1:
            lines.append(f"    - [{title(study)}](#{study.name})\n        - {_told_apart(tried)}")
    return "\n".join(["- **Is another version of ODKD by squared error better?**", *lines]) if lines else ""


def _told_apart(tried: Sequence[Comparison]) -> str:
    clear = {verdict: [one for one in tried if one.verdict == verdict] for verdict in ("better", "worse")}
    parts = [
        f"**{verdict}**: {', '.join(f'{one.name} {one.value} `{one.mark}`' for one in found)}"
        for verdict, found in clear.items()
        if found
    ]
    if rest := [one for one in tried if one.verdict == "open"]:
        parts.append(f"**not told from it**: {', '.join(one.variant for one in rest)}")
    chance = len(tried) / 20
    head = f"of {len(tried)} rows beside odkd, about {chance:.1f} of which chance alone would mark, "
    return head + "; ".join(parts)


def _of_teachers(study: StudyFile) -> list[str]:
    """Each senior's own figure beside that of the network that sees no mask."""
    if study.networks is not None:
        own = {role: learned.get("real persons") for role, learned in study.networks["networks"].items()}
        if (senior := own.get("senior")) and (blind := own.get("blind")):
            return [_beside("AP on real persons", senior["AP"], blind["AP"])]
    lines = []
    for ending, learned in (("", ""), ("_bce", ", learned by cross-entropy")):
        one, other = (study.teachers.get(f"{role}{ending}", {}) for role in ("senior", "blind"))
        for metric, where in (("val/AP_crowds", "AP on crowds"), ("val/AP", "AP on all people")):
            if metric in one and metric in other:
                lines.append(_beside(f"{where}{learned}", one[metric], other[metric]))
                break
    return lines


def _beside(where: str, senior: float, blind: float) -> str:
    return (
        f"the teacher's own {where}: {senior:.4f} with the mask, {blind:.4f} without "
        f"(**{senior - blind:+.4f}**; one training each, so no interval)"
    )


def title(study: StudyFile) -> str:
    """Return what a study is called.

    By hand, or by what it is of.
    """
    if "title" in study.notes:
        return study.notes["title"]
    student = study.config.get("student", "")
    benchmark = study.config.get("benchmark")
    if benchmark is None:
        return f"{study.name}: {student}" if student else study.name
    pictures = benchmark.get("size", {}).get("train_pictures")
    labels = {"exact": "exact labels", "coco": "labels as COCO's"}.get(benchmark.get("labels"), "")
    parts = ["drawn people", f"{pictures:,} pictures" if pictures else "", labels, student]
    return ", ".join(filter(None, parts))
