import math

import pytest
import torch

from kdkit import OutputAgreement, TeacherAgreement


def test_every_figure_is_what_it_says():
    found = OutputAgreement.measure(
        torch.tensor([[0.0, 4.0], [3.0, -1.0]]), torch.tensor([[0.0, 4.0], [2.0, -1.5]])
    )
    assert found.largest == 1.0
    assert found.mean == pytest.approx(1.5 / 4)
    assert found.relative == pytest.approx(1 / 5)
    assert found.cosine == pytest.approx((16 + 6 + 1.5) / math.sqrt(26 * (16 + 4 + 2.25)))


def test_the_same_is_the_same():
    for value in (torch.zeros(2, 3), torch.ones(2, 3), torch.arange(6.0)):
        found = OutputAgreement.measure(value, value.clone())
        assert (found.largest, found.mean, found.relative) == (0, 0, 0)
        assert found.cosine == pytest.approx(1)


def test_a_constant_has_no_range():
    found = OutputAgreement.measure(torch.zeros(3), torch.tensor([0.0, 0.0, 1e-6]))
    assert found.relative == math.inf
    assert found.cosine == 0


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("expected", [torch.arange(3.0), torch.zeros(3)])
def test_what_is_not_finite_agrees_with_nothing(value, expected):
    found = OutputAgreement.measure(expected, torch.tensor([0.0, 1.0, value]))
    assert not found.relative <= 1e9
    both = OutputAgreement.measure(torch.tensor([0.0, value]), torch.tensor([0.0, value]))
    assert not both.relative <= 1e9


def test_it_is_one_line_and_one_figure_an_output():
    expected = {"heatmap": torch.tensor([0.0, 2.0]), "hidden": torch.tensor([0.0, 1.0]), "unasked": torch.zeros(1)}
    found = {"heatmap": torch.tensor([0.0, 1.5]), "hidden": torch.tensor([0.0, 1.0])}
    agreement = TeacherAgreement.measure("senior", expected, found)
    assert agreement.figures == {"agreement/senior/heatmap": 0.25, "agreement/senior/hidden": 0.0}
    assert str(agreement) == (
        "teacher 'senior' differs from float32 in heatmap by 0.5 at most, 0.25 of its range (mean 0.25); "
        "hidden by 0 at most, 0 of its range (mean 0)"
    )
