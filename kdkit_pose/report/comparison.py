"""What the figures say about the students, in words."""

from collections.abc import Sequence

from kdkit_pose.report.run import ReportedRun


def comparison(runs: Sequence[ReportedRun]) -> str:
    """Compare every student's AP with that of the first student, a sentence each.

    The difference is that of the figures as they are printed, to three decimals. Empty with fewer than two
    students.
    """
    students = [run for run in runs if run.is_student]
    return " ".join(_sentence(student, students[0]) for student in students[1:])


def _sentence(run: ReportedRun, reference: ReportedRun) -> str:
    found, expected = run.metric("AP"), reference.metric("AP")
    if found is None or expected is None:
        lacking = run if found is None else reference
        return f"The {lacking.name} has no AP, so the {run.name} and the {reference.name} cannot be compared."
    if run.metrics.get("boxes") != reference.metrics.get("boxes"):
        return f"The {run.name} and the {reference.name} saw boxes of different sources: their AP do not compare."
    difference = round(round(found, 3) - round(expected, 3), 3)
    if difference == 0:
        relation = f"equals the {reference.name}'s to three decimals"
    else:
        direction = "above" if difference > 0 else "below"
        relation = f"is {abs(difference):.3f} {direction} the {reference.name}'s"
    return f"The {run.name}'s AP {relation} (one seed, so not a proof)."
