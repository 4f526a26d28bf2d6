import math

import pytest

from kdkit import ConfigurationError, Epochs, Plateau, Reached, StageProgress, Steps
from kdkit.condition import Length


def history(*values: float, name: str = "AP") -> StageProgress:
    return StageProgress(epochs=len(values), history=tuple({name: value} for value in values))


def test_epochs_and_steps():
    assert not Epochs(2).met(StageProgress(epochs=1))
    assert Epochs(2).met(StageProgress(epochs=2))
    assert not Steps(5).met(StageProgress(steps=4))
    assert Steps(5).met(StageProgress(steps=5))


@pytest.mark.parametrize(
    ("values", "over"),
    [
        ((0.1, 0.2, 0.3), False),
        ((0.3, 0.2, 0.2), True),
        ((0.3, 0.2, 0.31, 0.2), False),
        ((0.3, 0.3, 0.3), True),
        ((0.3, 0.3), False),
        ((math.nan, math.nan), True),
        ((), False),
    ],
)
def test_plateau(values, over):
    assert Plateau("AP", patience=2).met(history(*values)) is over
    assert Plateau("AP", patience=2, mode="min").met(history(*(-value for value in values))) is over


def test_plateau_wants_min_delta():
    assert Plateau("AP", patience=2, min_delta=0.05).met(history(0.3, 0.31, 0.32))
    assert not Plateau("AP", patience=2, min_delta=0.005).met(history(0.3, 0.31, 0.32))


def test_plateau_passes_over_epochs_without_the_metric():
    progress = StageProgress(history=({"AP": 0.3}, {}, {"AP": 0.2}, {}))
    assert not Plateau("AP", patience=2).met(progress)


def test_reached():
    assert Reached("AP", 0.5).met(history(0.2, 0.5, 0.4))
    assert not Reached("AP", 0.5).met(history(0.2, 0.4))
    assert Reached("loss", 0.1, mode="min").met(history(0.2, 0.1, name="loss"))


def test_joins():
    either, both = Epochs(3) | Plateau("AP", 2), Epochs(3) & Plateau("AP", 2)
    flat = history(0.3, 0.3, 0.3)
    rising = history(0.1, 0.2, 0.3)
    assert either.met(flat)
    assert both.met(flat)
    assert either.met(rising)
    assert not both.met(rising)
    assert either.metrics() == {"AP"}


def test_lengths():
    assert (Epochs(3) | Epochs(5)).length() == Length(3, "epochs")
    assert (Epochs(3) & Epochs(5)).length() == Length(5, "epochs")
    assert (Epochs(3) | Plateau("AP", 2)).length() == Length(3, "epochs")
    assert (Epochs(3) & Plateau("AP", 2)).length() is None
    assert (Epochs(3) | Steps(10)).length() is None
    assert Plateau("AP", 2).length() is None


def test_fractions():
    progress = StageProgress(steps=25, epochs=2, epoch_steps=5)
    assert Epochs(4).fraction(progress, 10) == pytest.approx(2.5 / 4)
    assert Epochs(4).fraction(progress, None) == 0.5
    assert Steps(100).fraction(progress, 10) == 0.25
    assert (Epochs(4) | Plateau("AP", 2)).fraction(progress, 10) == pytest.approx(2.5 / 4)
    assert (Epochs(4) & Epochs(8)).fraction(progress, None) == 0.25
    assert Plateau("AP", 2).fraction(progress, 10) is None
    assert Steps(10).fraction(progress, 10) == 1.0


@pytest.mark.parametrize(
    "make",
    [
        lambda: Epochs(0),
        lambda: Epochs(1.5),
        lambda: Steps(-1),
        lambda: Plateau("AP", 0),
        lambda: Plateau("AP", 2, mode="larger"),
        lambda: Plateau("AP", 2, min_delta=-1.0),
        lambda: Reached("AP", math.nan),
    ],
)
def test_bad_arguments_are_refused(make):
    with pytest.raises(ConfigurationError):
        make()
