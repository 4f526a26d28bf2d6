"""Tables of a profile, in Markdown."""

from collections.abc import Callable, Iterable, Sequence

from benchmarks.measuring.table import numbers
from benchmarks.profiling.kinds import KINDS
from benchmarks.profiling.parts import PARTS
from benchmarks.profiling.records import Profile, VariantProfile


def steps_table(profile: Profile) -> str:
    """Return time, speed, calls, idle time and roofline position by variant."""
    gpu = profile.setting.gpu
    first = profile.variants[0]
    head = ["variant", "time a step", "95% interval", f"speed to {first.name}", "kernels" if gpu else "operators"]
    head += ["no kernel runs" if gpu else "no operator runs", "share of the peak", "profiled"]
    rows = []
    for one in profile.variants:
        (time, *interval), unit = numbers([one.seconds, one.low, one.high], "s")
        cells = [one.name, f"{time} {unit}", " to ".join(interval), f"{first.seconds / one.seconds:.2f}"]
        cells += [f"{one.breakdown.calls:,}", percent(one.breakdown.share(one.breakdown.idle))]
        rows.append([*cells, percent(profile.roofline(one)), f"{one.breakdown.seconds / one.seconds:.2f} x"])
    return table(head, rows)


def parts_table(profile: Profile) -> str:
    """Return the share of a step by part."""
    return _shares(profile, PARTS, lambda one, part: one.breakdown.parts[part])


def kinds_table(profile: Profile) -> str:
    """Return the share of a step by kind of operator; those without any are left out."""
    kinds = [kind for kind in KINDS if any(one.breakdown.kinds[kind] for one in profile.variants)]
    return _shares(profile, kinds, lambda one, kind: one.breakdown.kinds[kind])


def memory_table(profile: Profile) -> str:
    """Return what is held in memory by variant."""
    head = ["variant", "student", "teacher", "optimizer", "step, at its backward", "step, at its peak", "together"]
    rows = []
    for one in profile.variants:
        memory = one.memory
        held = [memory.student, memory.teacher, memory.optimizer, memory.at_backward, memory.peak, memory.total]
        rows.append([one.name, *(f"{count / 2**20:,.1f} MiB" if count else "" for count in held)])
    return table(head, rows)


def convolutions_table(profile: Profile, variant: VariantProfile) -> str:
    """Return kinds of convolutions, there and back, with what bounds them."""
    head = [
        "convolution",
        "calls",
        "share of the step",
        "operations a byte",
        "bounded by",
        "reached",
        "of the bound",
    ]
    rows = []
    for one in variant.convolutions:
        name = one.kind + (", backward" if one.backward else "")
        bound = f"{one.memory_bound:.0%} memory" if 0.05 < one.memory_bound < 0.95 else ""
        bound = bound or ("memory" if one.memory_bound > 0.5 else "arithmetic")
        reached, allowed = "", ""
        if seconds := variant.unprofiled(one.seconds):
            reached, allowed = f"{giga(one.flops / seconds)} GFLOP/s", percent(one.least_seconds / seconds)
        share = percent(variant.breakdown.share(one.seconds))
        rows.append([name, f"{one.calls}", share, f"{one.flops / one.bytes:.0f}", bound, reached, allowed])
    return table(head, rows)


def giga(value: float) -> str:
    """Return a value in units of 10^9, rounded to three figures.

    >>> giga(1.2345e9), giga(123.4e12)
    ('1.23', '123,000')
    """
    (shown,), _ = numbers([value / 1e9], "")
    return shown


def percent(share: float) -> str:
    """Return a share in words.

    >>> percent(0.123), percent(0.0099), percent(0.004), percent(0)
    ('12%', '1%', '0.4%', '0%')
    """
    return f"{share:.1%}" if 0 < share < 0.0095 else f"{share:.0%}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; all columns but the first are set to the right.

    >>> print(table(["a", "b"], [["x", "1"]]), end="")
    | a | b |
    |---|---:|
    | x | 1 |
    """
    lines = [head, *rows]
    written = ["| " + " | ".join(cells) + " |" for cells in lines]
    written.insert(1, "|---" + "|---:" * (len(head) - 1) + "|")
    return "\n".join(written) + "\n"


def _shares(profile: Profile, keys: Sequence[str], value: Callable[[VariantProfile, str], float]) -> str:
    rows = [[key, *(percent(one.breakdown.share(value(one, key))) for one in profile.variants)] for key in keys]
    # Parts hold a CPU's idle time, kinds never do, and on a GPU neither.
    if profile.setting.gpu or tuple(keys) != PARTS:
        idle = [percent(one.breakdown.share(one.breakdown.idle)) for one in profile.variants]
        rows.append(["no kernel" if profile.setting.gpu else "no operator", *idle])
    return table(["", *(one.name for one in profile.variants)], rows)
