import math

import numpy as np
import pytest

from kdkit import ConfigurationError
from kdkit.ablation import mean_interval


def test_it_is_the_textbooks():
    # Student's quantile for 4 degrees of freedom is 2.776.
    values = [2.0, 4.0, 6.0, 8.0, 10.0]
    found = mean_interval(values)
    assert found.mean == 6.0
    assert found.high - found.mean == pytest.approx(2.776 * math.sqrt(10 / 5), rel=1e-3)
    assert found.mean - found.low == pytest.approx(found.high - found.mean)


def test_it_holds_the_true_mean_as_often_as_it_says():
    draw = np.random.default_rng(0)
    intervals = [mean_interval(draw.normal(1.0, 2.0, 3).tolist(), 0.8) for _ in range(2000)]
    assert np.mean([one.low <= 1.0 <= one.high for one in intervals]) == pytest.approx(0.8, abs=0.03)


def test_a_single_value_says_nothing_of_its_spread():
    found = mean_interval([0.5])
    assert found.mean == 0.5
    assert not found.is_known
    assert not found.leaves_out_zero
    assert found.to_json() == {"mean": 0.5, "low": None, "high": None, "count": 1}


@pytest.mark.parametrize(("values", "clear"), [([1.0, 1.1, 0.9], True), ([1.0, -1.0, 0.5], False)])
def test_whether_zero_is_left_out(values, clear):
    assert mean_interval(values).leaves_out_zero is clear
    assert mean_interval([-value for value in values]).leaves_out_zero is clear


@pytest.mark.parametrize(("values", "confidence"), [([], 0.9), ([math.nan, 1.0], 0.9), ([1.0, 2.0], 1.0)])
def test_what_has_no_interval_is_refused(values, confidence):
    with pytest.raises(ConfigurationError):
        mean_interval(values, confidence)
