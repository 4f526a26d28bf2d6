"""Which rows tell something beside each other, other than beside the baseline."""

from collections.abc import Sequence

_PAIRS = (
    # Whether it is more than any teacher, and than a longer training.
    ("odkd", "plain"),
    ("odkd", "plain_twice"),
    ("odkd", "fpd"),
    ("odkd", "primary_only"),
    ("odkd", "senior_only"),
    # The order.
    ("odkd", "reversed"),
    ("odkd", "joint"),
    # The mask, in two stages and in one.
    ("odkd", "odkd_blind"),
    ("senior_only", "fpd"),
    # Binary targets in both stages, by each loss.
    ("binary_mse", "odkd"),
    ("binary_bce", "odkd"),
    # Teachers and binarization, where the loss is binary cross-entropy in all rows.
    ("binary_bce", "plain_binary_bce"),
    ("binary_bce", "odkd_bce"),
    ("odkd_bce", "plain_bce"),
    ("plain_binary_bce", "plain_bce"),
    ("plain_binary_bce", "odkd"),
    ("odkd_bce", "plain_binary_bce"),
    # Teachers that learned by that loss, and two of them, in either order, or one.
    ("binary_bce_alike", "odkd"),
    ("binary_bce_alike", "plain_binary_bce"),
    ("binary_bce_alike_soft", "plain_binary_bce"),
    ("senior_only_bce_alike_soft", "plain_binary_bce"),
    ("senior_only_bce_alike_soft", "blind_only_bce_alike_soft"),
    ("binary_bce_alike_soft", "primary_only_bce_alike_soft"),
    ("binary_bce_alike_soft", "senior_only_bce_alike_soft"),
    ("binary_bce_alike_soft", "reversed_bce_alike_soft"),
    ("binary_bce_alike_soft", "joint_bce_alike_soft"),
    ("binary_bce_alike_soft", "blind_only_bce_alike_soft"),
    # One teacher or two, and how much of it, where they are learned from everywhere.
    ("odkd_everywhere", "senior_only_everywhere"),
    ("odkd_everywhere_alpha_0.8", "odkd_alpha_0.8"),
    # The loss on binary targets alone, and the second stage's rate alone.
    ("binary_bce", "binary_mse_sigmoid"),
    ("binary_bce", "binary_mse"),
    ("odkd_low", "odkd_restart"),
)


def pairs_of(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return (row, other) of the differences between some rows that tell something, each once.

    They are those of ODKD to what it is made of and could be exchanged for, and those of each row called after
    another one, such as ``odkd_both_0.3``, to that one: to ``odkd_both`` and to ``odkd``.

    >>> pairs_of(("plain", "odkd", "reversed", "odkd_both", "odkd_both_0.3"))[1:4]
    (('odkd', 'reversed'), ('odkd_both', 'odkd'), ('odkd_both_0.3', 'odkd'))
    """
    known = [pair for pair in _PAIRS if set(pair) <= set(names)]
    named = [(name, other) for name in names for other in names if name.startswith(f"{other}_")]
    there = set(known)
    return (*known, *(pair for pair in named if pair[::-1] not in there))
