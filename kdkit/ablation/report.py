"""A study as one file: what was compared, what came out, and what it was made with."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kdkit.ablation.results import Results
from kdkit.files import write_atomically

FORMAT = "kdkit.ablation 1"
"""Says in a report what it is."""

_MADE_WITH = ("machine", "versions", "commit")


def study_report(
    results: Results,
    *,
    config: Mapping[str, Any],
    variants: Mapping[str, Mapping[str, Any]],
    seeds: Sequence[int],
    pairs: Sequence[tuple[str, str]],
    kept: Iterable[Mapping[str, Any]],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a study's report; see :meth:`kdkit.ablation.Ablation.report`.

    Args:
        results: what is finished.
        config: what all variants have in common.
        variants: ``summary`` and ``config`` of each, by name.
        seeds: that the study is to have.
        pairs: the differences that are wanted beside those to the baseline; those without a common seed are left
            out.
        kept: the contents of the trials' files.
        about: whatever else.
    """
    compared = [(row.name, results.baseline) for row in results.rows if row.name != results.baseline]
    for pair in pairs:  # each difference once, whichever way round it is wanted
        if pair not in compared and pair[::-1] not in compared:
            compared.append(pair)
    return {
        "format": FORMAT,
        "config": dict(config),
        "seeds": list(seeds),
        "variants": {name: dict(variant) for name, variant in variants.items()},
        "about": dict(about),
        "made": _made(kept),
        "differences": [entry for pair in compared if (entry := _difference(results, *pair))],
        **results.to_json(),
    }


def write_report(report: Mapping[str, Any], path: str | Path) -> None:
    """Write a report as JSON, whole or not at all; a trial, a row or a setting has a line of its own."""
    text = _laid_out(json.loads(json.dumps(report)), 3) + "\n"
    write_atomically(Path(path), lambda file: file.write(text.encode()))


def _difference(results: Results, variant: str, other: str) -> dict[str, Any] | None:
    found = results.difference(variant, other)
    if found is None:
        return None
    p_value = results.p_value(variant, other) if found.is_known else None
    return {"variant": variant, "other": other, **found.to_json(), "p": p_value}


def _made(kept: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What trials were made with, and which: a study may have gone on elsewhere, or later."""
    made: dict[str, dict[str, Any]] = {}
    for content in kept:
        having = {name: content.get(name) for name in _MADE_WITH}
        entry = made.setdefault(json.dumps(having, sort_keys=True), {**having, "dates": [], "trials": {}})
        entry["trials"].setdefault(content["variant"], []).append(content["seed"])
        entry["dates"] = sorted({*entry["dates"], *filter(None, [content.get("date")])})
    return list(made.values())


def _laid_out(value: Any, depth: int, indent: str = " ") -> str:
    """JSON whose containers are opened to lines down to a depth; deeper ones are on one line."""
    if depth == 0 or not isinstance(value, dict | list) or not value:
        return json.dumps(value)
    inner = (
        [f"{indent}{json.dumps(key)}: {_laid_out(item, depth - 1, indent + ' ')}" for key, item in value.items()]
        if isinstance(value, dict)
        else [f"{indent}{_laid_out(item, depth - 1, indent + ' ')}" for item in value]
    )
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n" + ",\n".join(inner) + f"\n{indent[1:]}{closing}"
