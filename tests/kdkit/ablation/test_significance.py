import math

import numpy as np
import pytest
from scipy import stats

from kdkit import ConfigurationError
from kdkit.ablation import holm, mean_interval, p_value


def test_it_is_students():
    values = [0.02, 0.05, -0.01, 0.03]
    assert p_value(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    assert p_value([-value for value in values]) == p_value(values)


def test_it_agrees_with_the_interval():
    draw = np.random.default_rng(0)
    for values in draw.normal(1.0, 1.0, (200, 3)).tolist():
        assert (p_value(values) < 0.05) == mean_interval(values).leaves_out_zero


def test_what_does_not_vary_is_certain():
    assert p_value([0.0, 0.0]) == 1.0
    assert p_value([0.5, 0.5]) == 0.0
    assert math.isnan(p_value([0.5]))


def test_a_family_is_adjusted_as_holm_does():
    # By hand: 4 * 0.005, 3 * 0.01, 2 * 0.03, 1 * 0.04 raised to the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.04]) == [0.04]
    assert holm([]) == []


def test_of_families_by_chance_one_in_twenty_has_a_mark():
    draw = np.random.default_rng(1)
    families = [[p_value(values) for values in draw.normal(0.0, 1.0, (10, 5)).tolist()] for _ in range(400)]
    assert np.mean([min(holm(family)) < 0.05 for family in families]) == pytest.approx(0.05, abs=0.03)
    assert np.mean([min(family) < 0.05 for family in families]) > 0.3


@pytest.mark.parametrize("values", [[], [math.nan, 1.0]])
def test_what_has_no_p_value_is_refused(values):
    with pytest.raises(ConfigurationError):
        p_value(values)


def test_what_is_no_p_value_is_refused():
    with pytest.raises(ConfigurationError, match=r"found \[1.5, nan\]"):
        holm([0.5, 1.5, math.nan])
