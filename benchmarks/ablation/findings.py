"""What a study's differences say, by rule: what is clear, what is not, and what the paper says otherwise."""

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.ablation.comparison import Comparison, known
from benchmarks.ablation.study_file import StudyFile, seeds_missing
from kdkit.ablation.table import interval_words


@dataclass(frozen=True)
class Claim:
    """Something that the paper (arXiv 2104.10414) says.

    Args:
        text: what.
        variant, other: the rows by which it is looked at; the first should be better.
        gains: the least and the most of the gains it reports, if any.
    """

    text: str
    variant: str
    other: str
    gains: tuple[float, float] | None = None


_GAINS = (0.010, 0.033)
CLAIMS = (
    Claim("ODKD with its binarization beats the plain student", "odkd_both", "plain", _GAINS),
    Claim("ODKD, here without its binarization, beats the plain student", "odkd", "plain", _GAINS),
    Claim(
        "ODKD by cross-entropy, its teachers having learned so, beats the plain student that learns so",
        *("binary_bce_alike", "plain_binary_bce", _GAINS),
    ),
    Claim(
        "ODKD by cross-entropy, its teachers' probabilities as they are, beats the plain student that learns so",
        *("binary_bce_alike_soft", "plain_binary_bce", _GAINS),
    ),
    Claim("the primary first is better than the senior first", "odkd", "reversed"),
    Claim(
        "by cross-entropy the primary first is better than the senior first",
        *("binary_bce_alike_soft", "reversed_bce_alike_soft"),
    ),
    Claim("one teacher after the other is better than both at once", "odkd", "joint"),
    Claim("by squared error binarized heatmaps help", "odkd_both", "odkd"),
    Claim("by cross-entropy binarized heatmaps help", "binary_bce", "odkd_bce"),
    Claim("what the senior learned from the mask helps the student", "odkd", "odkd_blind"),
    Claim(
        "by cross-entropy what the senior learned from the mask helps the student",
        *("binary_bce_alike_soft", "binary_bce_alike_soft_blind"),
    ),
)


def findings(study: StudyFile) -> str:
    """Return a study's findings as a list; every sentence follows from the differences."""
    with_interval = known(study.comparisons)
    parts = _unfinished(study)
    if with_interval:
        parts += [_count(with_interval), *_sorted_out(with_interval)]
    elif study.comparisons:
        parts.append("One seed: there are no intervals, and nothing can be told from chance.")
    claims = [text for claim in CLAIMS if (text := _judged(claim, study))]
    text = "\n".join(f"- {part}" for part in parts)
    if claims:
        text += "\n\nWhat the paper says, beside what is found here:\n\n" + "\n".join(f"- {one}" for one in claims)
    return text


def _unfinished(study: StudyFile) -> list[str]:
    missing = seeds_missing(study)
    if not missing:
        return []
    rows_by_seeds: dict[tuple[int, ...], list[str]] = {}
    for name, seeds in missing.items():
        rows_by_seeds.setdefault(tuple(seeds), []).append(name)
    told = "; ".join(
        f"seed{'s' if len(seeds) > 1 else ''} {_list(map(str, seeds))} of {_list(rows)}"
        for seeds, rows in rows_by_seeds.items()
    )
    return [f"Not trained: {told}. A difference is over the seeds that both rows have."]


def _count(among: list[Comparison]) -> str:
    clear = [one for one in among if one.verdict != "open"]
    held = [one for one in among if one.holds_among_all]
    return (
        f"Of {len(among)} differences with an interval {_number(len(clear))} out 0, marked `*`; if no row "
        f"differed from another, about {len(among) / 20:.1f} would. {_hold(len(held))} after Holm's adjustment "
        f"for all {len(among)}, marked `**`."
    )


def _number(count: int) -> str:
    return {0: "none leaves", 1: "one leaves"}.get(count, f"{count} leave")


def _hold(count: int) -> str:
    return {0: "None holds", 1: "One holds"}.get(count, f"{count} hold")


def _sorted_out(among: list[Comparison]) -> list[str]:
    heads = {
        "better": "Better by more than the seeds' chance",
        "worse": "Worse by more than the seeds' chance",
        "open": "Not told from chance",
    }
    lines = []
    for verdict, head in heads.items():
        found = [one for one in among if one.verdict == verdict]
        if verdict == "open":
            told = "; ".join(one.name for one in found)
        else:
            told = "; ".join(f"{one.name} {one.value}{_escaped(one.mark)}" for one in found)
        lines.append(f"{head}: {told or 'none'}.")
    return lines


def _judged(claim: Claim, study: StudyFile) -> str:
    """What is found on a claim of the paper; empty where no rows are."""
    one = study.comparison(claim.variant, claim.other)
    if one is None:
        return ""
    words = {"better": "**agrees**", "worse": "**contradicted**", "open": "**neither shown nor refuted**"}
    beside = f"{_beside(claim, one)}{_before(study, one)}"
    return f"{claim.text[0].upper()}{claim.text[1:]}: {words[one.verdict]}, {one.value}{beside}."


def _before(study: StudyFile, one: Comparison) -> str:
    """What a difference was before seeds were added."""
    before = study.before_more_seeds(one)
    return "" if before is None else f"; {interval_words(before, sign=True)} before seeds were added"


def _beside(claim: Claim, one: Comparison) -> str:
    """How a difference lies to the gains reported."""
    if claim.gains is None:
        return ""
    least, most = claim.gains
    reported = f"; reported on COCO are {least:+.3f} to {most:+.3f}"
    if not one.difference.is_known:
        return reported
    if one.difference.high < least:
        return f"{reported}, and the whole interval is below"
    if one.difference.low > most:
        return f"{reported}, and the whole interval is above"
    return reported


def _list(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _escaped(mark: str) -> str:
    return f" `{mark}`" if mark else ""
