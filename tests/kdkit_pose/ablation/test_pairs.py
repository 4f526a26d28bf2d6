from kdkit_pose.ablation import CORE, CORE_BCE, ROWS, pairs_of


def test_every_pair_is_of_rows_that_are_there_and_comes_once():
    for names in (CORE, CORE_BCE, tuple(ROWS)):
        pairs = pairs_of(names)
        assert {name for pair in pairs for name in pair} <= set(names)
        assert len({frozenset(pair) for pair in pairs}) == len(pairs)


def test_the_core_tells_of_order_and_binarization():
    assert {("odkd", "reversed"), ("odkd", "joint"), ("odkd_both", "odkd"), ("odkd", "plain")} <= set(
        pairs_of(CORE)
    )


def test_the_core_by_cross_entropy_tells_the_same():
    assert {
        ("binary_bce_alike_soft", "reversed_bce_alike_soft"),
        ("binary_bce_alike_soft", "joint_bce_alike_soft"),
        ("binary_bce_alike_soft", "binary_bce_alike"),
        ("binary_bce_alike_soft", "plain_binary_bce"),
        ("senior_only_bce_alike_soft", "blind_only_bce_alike_soft"),
    } <= set(pairs_of(CORE_BCE))


def test_rows_that_differ_in_one_thing_are_compared():
    pairs = pairs_of(tuple(ROWS))
    assert {("binary_bce", "binary_mse_sigmoid"), ("odkd_low", "odkd_restart"), ("binary_mse", "odkd")} <= set(
        pairs
    )


def test_a_row_is_compared_with_those_that_it_is_called_after():
    names = ("plain", "odkd", "odkd_blind", "odkd_both", "odkd_both_0.3", "odkdish")
    assert pairs_of(names) == (
        ("odkd", "plain"),
        ("odkd", "odkd_blind"),  # and not the other way round, too
        ("odkd_both", "odkd"),
        ("odkd_both_0.3", "odkd"),
        ("odkd_both_0.3", "odkd_both"),
    )
