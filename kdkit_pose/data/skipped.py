"""What a data set left out or changed, and why: nothing disappears without being counted and named."""

from dataclasses import dataclass, field

from kdkit_pose.data.integrity import REASONS

_NAMES_KEPT = 5


@dataclass
class Tally:
    """Counts by reason, with the first few different names of each."""

    counts: dict[str, int] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, name: object, count: int = 1) -> None:
        """Count ``count`` more for ``reason``, in the person, picture or file ``name``."""
        self.counts[reason] = self.counts.get(reason, 0) + count
        names = self.names.setdefault(reason, [])
        # One more than is shown tells that there are more.
        if str(name) not in names and len(names) <= _NAMES_KEPT:
            names.append(str(name))

    def merge(self, other: "Tally") -> None:
        """Count what another tally counted, too."""
        for reason, count in other.counts.items():
            for name in other.names[reason]:
                self.add(reason, name, 0)
            self.counts[reason] += count

    @property
    def total(self) -> int:
        """The sum over all reasons."""
        return sum(self.counts.values())

    def __str__(self) -> str:
        parts = []
        for reason, count in sorted(self.counts.items(), key=lambda item: -item[1]):
            names = self.names[reason]
            more = ", ..." if len(names) > _NAMES_KEPT else ""
            parts.append(f"{reason}: {count} ({', '.join(names[:_NAMES_KEPT])}{more})")
        return "; ".join(parts) or "nothing"


@dataclass
class Skipped:
    """The report of a data set's construction.

    Attributes:
        left_out: Persons or boxes that are no sample, by reason.
        noted: What was kept but is not as the file says or as one might expect, by reason.

    >>> report = Skipped()
    >>> report.left_out.add("crowd region", "annotation 7")
    >>> print(report)
    left out: crowd region: 1 (annotation 7)
    noted: nothing
    """

    left_out: Tally = field(default_factory=Tally)
    noted: Tally = field(default_factory=Tally)

    @property
    def of_pictures(self) -> dict[str, int]:
        """The counts of those that were left out because their pictures cannot be used, by reason."""
        return {reason: count for reason, count in self.left_out.counts.items() if reason in REASONS}

    def __str__(self) -> str:
        return f"left out: {self.left_out}\nnoted: {self.noted}"
