"""A curriculum as a plan to read."""

import io
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kdkit.condition import Condition, Epochs, Joined, Plateau, Reached, Steps
from kdkit.naming import callable_name
from kdkit.objective import Objective
from kdkit.region import regions_repr
from kdkit.run_condition import RunEpochs, RunSteps
from kdkit.schedule import as_schedule
from kdkit.stage import Stage
from kdkit.transforms import Identity

if TYPE_CHECKING:
    from kdkit.curriculum import Curriculum

WIDTH = 110
"""The most columns that a plan takes."""


def plan(curriculum: "Curriculum") -> str:
    """Return a curriculum in words and tables: what ``print(curriculum)`` shows.

    Every stage has its end, its share of the run where every stage's length is known, its teachers, what changes
    on entry, and a line an objective. ``->`` marks where the cursor stands.
    """
    lengths, total = curriculum.lengths, sum(one.amount for one in curriculum.lengths or ())
    whole = f", {_count(total, lengths[0].unit[:-1])}" if lengths else ""
    lines = [f"Curriculum of {_count(len(curriculum), 'stage')}{whole}; {_standing(curriculum)}"]
    objectives = [objective for stage in curriculum for objective in stage.objectives]
    # A column in which no objective has anything to say is left out.
    columns = [column for column in (*_COLUMNS, _balance_column(objectives)) if any(map(column[1], objectives))]
    for position, stage in enumerate(curriculum):
        mark = "->" if position == curriculum.index else "  "
        open_end = bool(stage.until.metrics() or stage.until.counts_run)
        until = f"{'until ' if open_end else ''}{condition_words(stage.until)}"
        if lengths and len(lengths) > 1:
            most = _bound(curriculum.stages[: position + 1])
            until += f" ({most}{100 * lengths[position].amount / total:.3g} % of the run)"
        lines += ["", f"{mark} {position + 1}. {stage.name}: {until}"]
        lines += [f"      {line}" for line in (*_facts(stage), *_table(stage, columns))]
    return "\n".join(lines)


def condition_words(condition: Condition) -> str:
    """Return a condition in words: ``10 epochs``, ``val/AP at least 0.5``.

    >>> condition_words(Epochs(10) | Plateau("val/AP", patience=3))
    '10 epochs or val/AP not better for 3 evaluations'
    """
    match condition:
        case Epochs(count):
            return _count(count, "epoch")
        case Steps(count):
            return _count(count, "step")
        case RunEpochs(count):
            return f"{_count(count, 'epoch')} of the run"
        case RunSteps(count):
            return f"{_count(count, 'step')} of the run"
        case Plateau(metric, patience):
            return f"{metric} not better for {_count(patience, 'evaluation')}"
        case Reached(metric, value, mode):
            return f"{metric} at {'least' if mode == 'max' else 'most'} {value:g}"
        case Joined(left, right):
            sides = [
                f"({condition_words(side)})" if _binds_less(side, condition) else condition_words(side)
                for side in (left, right)
            ]
            return f" {'or' if condition.any_of else 'and'} ".join(sides)
    return repr(condition)


def _bound(stages: Sequence[Stage]) -> str:
    """Return how the last stage's length, as it is known, bounds its real one."""
    *before, stage = stages
    if stage.until.metrics():
        # Where it also has what those before left, it may take more or less.
        return "about " if stage.until.counts_run and any(one.until.metrics() for one in before) else "at most "
    return "at least " if stage.until.counts_run and any(one.until.metrics() for one in before) else ""


def _count(amount: int, what: str) -> str:
    return f"{amount} {what}{'' if amount == 1 else 's'}"


def _binds_less(side: Condition, condition: Joined) -> bool:
    return isinstance(side, Joined) and side.any_of != condition.any_of


def _standing(curriculum: "Curriculum") -> str:
    if curriculum.finished:
        return f"finished after {_count(curriculum.epochs, 'epoch')}, {_count(curriculum.steps, 'step')}"
    if not curriculum.steps and not curriculum.epochs:
        return "at its start"
    done = curriculum.progress
    stood = f"{_count(done.epochs, 'epoch')} and {_count(done.steps, 'step')}"
    return f"in stage {curriculum.index + 1}, after {stood} of it"


def _facts(stage: Stage) -> Iterable[str]:
    for number, teacher in enumerate(stage.teachers):
        given = f"{teacher.name} ({', '.join(teacher.reads)} -> {', '.join(teacher.outputs)})"
        yield f"{'teachers' if number == 0 else '':<10}{given}"
    entry = []
    if stage.learning_rate is not None:
        entry.append(f"learning rate {as_schedule(stage.learning_rate, 'the learning rate')}")
    if stage.warmup_steps:
        entry.append(f"warm-up over {_count(stage.warmup_steps, 'step')}")
    if stage.optimizer == "fresh":
        entry.append("a fresh optimizer")
    if stage.freeze:
        entry.append(f"frozen: {', '.join(stage.freeze)}")
    if entry:
        yield f"{'on entry':<10}{'; '.join(entry)}"


def _table(stage: Stage, columns: "list[Column]") -> list[str]:
    table = Table(box=None, pad_edge=False, header_style="", padding=(0, 2, 0, 0))
    # A name broken in two is hard to find again.
    names = min(max(len(objective.name) for objective in stage.objectives), WIDTH // 3)
    for position, (title, _) in enumerate(columns):
        table.add_column(title, overflow="fold", min_width=0 if position else names)
    for objective in stage.objectives:
        table.add_row(*(Text(find(objective)) for _, find in columns))
    out = io.StringIO()
    console = Console(file=out, width=WIDTH - 6, color_system=None, force_terminal=False, _environ={})
    console.print(table)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def _weight(objective: Objective) -> str:
    return "0 (off)" if objective.is_off else str(objective.schedule)


def _region(objective: Objective) -> str:
    words = (one if isinstance(one, str) else regions_repr([one]) for one in objective.regions)
    return " x ".join(words)


def _loss(objective: Objective) -> str:
    return callable_name(objective.loss) + ("" if objective.reduction == "mean" else f", {objective.reduction}")


def _target(objective: Objective) -> str:
    return "" if objective.target == objective.output else objective.target


def _transform(objective: Objective) -> str:
    return "" if objective.transform == Identity() else repr(objective.transform)


def _balance_column(objectives: Iterable[Objective]) -> "Column":
    balances = list(dict.fromkeys(balance for one in objectives if (balance := one.balance)))
    words = {balance: repr(balance) for balance in balances}
    # Two objects balance apart from each other, even with the same settings.
    for balance in balances:
        if sum(repr(other) == repr(balance) for other in balances) > 1:
            words[balance] += f" no. {balances.index(balance) + 1}"
    return "balance", lambda objective: words[objective.balance] if objective.balance else ""


Column = tuple[str, Callable[[Objective], str]]

_COLUMNS: tuple[Column, ...] = (
    ("objective", lambda objective: objective.name),
    ("weight", _weight),
    ("loss", _loss),
    ("target", _target),
    ("region", _region),
    ("transform", _transform),
)
