"""What a profile shows, in sentences that its figures make."""

from benchmarks.measuring.table import numbers
from benchmarks.profiling.kinds import ACTIVATION, COPIES, NORM, SUMS
from benchmarks.profiling.marks import TEACHER
from benchmarks.profiling.parts import PARTS
from benchmarks.profiling.records import Profile, VariantProfile
from benchmarks.profiling.tables import giga, percent

LIGHT = (NORM, ACTIVATION, SUMS, COPIES)
NAMED = {TEACHER: "the teacher's forward", "rest": "what lies around the step"}


def say(profile: Profile) -> str:
    """Return two paragraphs on a profile: times, largest parts and kinds, idle time; roofline and memory.

    It compares the first variant with the last that runs a teacher's network, as the fastest one is.
    """
    before, after = profile.variants[0], best_taught(profile)
    time = [*_times(profile, before, after), *_parts(before, after), *_idle(profile, before, after)]
    room = [*_roofline(profile, before, after)]
    room += [*_convolutions(after), *_around(profile, after), _memory(before, after)]
    return "\n\n".join([" ".join(time), " ".join(room)]) + "\n"


def best_taught(profile: Profile) -> VariantProfile:
    """Return the last variant whose step has all of the arithmetic, the teacher's too."""
    most = max(one.flops for one in profile.variants)
    return [one for one in profile.variants if one.flops == most][-1]


def _times(profile: Profile, before: VariantProfile, after: VariantProfile) -> list[str]:
    ratio = before.seconds / after.seconds
    said = [
        f"A step takes {_time(before)} in the variant *{before.name}* and {_time(after)} in *{after.name}*, "
        f"which is {ratio:.2f} times as fast."
    ]
    others = [one for one in profile.variants if one.flops < after.flops]
    if len(others) > 1:
        cached, plain = others[0], others[-1]
        said.append(
            f"Without the teacher's network it is {_time(cached)} (*{cached.name}*), which is "
            f"{cached.seconds / plain.seconds:.2f} times what *{plain.name}* takes."
        )
    return said


def _parts(before: VariantProfile, after: VariantProfile) -> list[str]:
    said = []
    for one in (before, after):
        part = max(PARTS, key=lambda part: one.breakdown.parts[part])
        kind, seconds = max(one.breakdown.kinds.items(), key=lambda item: item[1])
        share, of_kind = one.breakdown.share(one.breakdown.parts[part]), one.breakdown.share(seconds)
        said.append(
            f"The largest part of *{one.name}* is {NAMED.get(part, f'the {part}')}, {percent(share)} of the step, "
            f"and the largest kind of operator {kind}, {percent(of_kind)}."
        )
    shares = [percent(one.breakdown.share(one.breakdown.parts[TEACHER])) for one in (before, after)]
    said.append(f"The teacher takes {shares[0]} of the first and {shares[1]} of the second.")
    return said


def _idle(profile: Profile, before: VariantProfile, after: VariantProfile) -> list[str]:
    where = "no kernel runs in" if profile.setting.gpu else "no operator runs in"
    calls = "kernels" if profile.setting.gpu else "operators"
    shares = [percent(one.breakdown.share(one.breakdown.idle)) for one in (before, after)]
    return [
        f"The first calls {before.breakdown.calls:,} {calls} a step, the second {after.breakdown.calls:,}; "
        f"{where} {shares[0]} and {shares[1]} of the time."
    ]


def _roofline(profile: Profile, before: VariantProfile, after: VariantProfile) -> list[str]:
    peaks = profile.peaks
    shares = [percent(profile.roofline(one)) for one in (before, after)]
    return [
        f"The arithmetic of such a step is {giga(after.flops)} GFLOP; the machine's measured peak in "
        f"{peaks.dtype} is {giga(peaks.flops)} GFLOP/s, of which {shares[0]} and {shares[1]} are reached. "
        f"Its memory moves {giga(peaks.bandwidth)} GB/s, so that below {peaks.ridge:.0f} operations a byte "
        f"memory is the bound."
    ]


def _convolutions(after: VariantProfile) -> list[str]:
    if not after.convolutions:
        return []
    names = [one.kind + (", backward" if one.backward else "") for one in after.convolutions]
    by_memory = [name for name, one in zip(names, after.convolutions, strict=True) if one.memory_bound > 0.5]
    longest = after.convolutions[0]
    said = [
        f"Among the convolutions of *{after.name}*, those of {names[0]} take longest, "
        f"{percent(after.breakdown.share(longest.seconds))} of the step, at {longest.flops / longest.bytes:.0f} "
        f"operations a byte."
    ]
    if by_memory:
        said.append(f"Memory bounds these: {'; '.join(by_memory)}.")
    else:
        said.append("Arithmetic bounds all kinds of them.")
    return said


def _around(profile: Profile, after: VariantProfile) -> list[str]:
    if profile.peaks.ridge <= 1:
        return []
    share = percent(after.breakdown.share(sum(after.breakdown.kinds[kind] for kind in LIGHT)))
    return [
        f"Norms, activations, sums and copies do about one operation a byte or less, so memory bounds them; they "
        f"are {share} of the step."
    ]


def _memory(before: VariantProfile, after: VariantProfile) -> str:
    shares = percent(after.memory.peak / after.memory.total) if after.memory.total else "nothing"
    return (
        f"At the peak {before.memory.total / 2**20:,.0f} MiB are held in the first and "
        f"{after.memory.total / 2**20:,.0f} MiB in the second, {shares} of which is what the step itself "
        f"allocates: activations, targets, gradients."
    )


def _time(one: VariantProfile) -> str:
    (shown,), unit = numbers([one.seconds], "s")
    return f"{shown} {unit}"
