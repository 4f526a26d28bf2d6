import pytest

from kdkit_pose.cli.option_groups import Fitting, MaskFitting
from kdkit_pose.cli.options import Performance, Precision
from kdkit_pose.fit import FitSettings


@pytest.mark.parametrize("kind", [Fitting, MaskFitting])
def test_precision_and_performance_are_handed_on(kind):
    settings = kind().settings
    assert (settings.precision, settings.performance) == (None, "default")
    settings = kind(precision=Precision.bf16, performance=Performance.max).settings
    assert (settings.precision, settings.performance) == ("bf16", "max")


def test_what_is_left_out_is_what_the_library_takes():
    assert Fitting().settings == FitSettings()
