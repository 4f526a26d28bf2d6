from functools import partial

import pytest
import torch

from kdkit import ConfigurationError, Distiller, LossSpikeError, Spike, Trainer
from kdkit.processes import Processes
from kdkit.training.spike_guard import SpikeGuard, as_spike


def watched(step: int, value: float, ids=None) -> tuple:
    losses = torch.full((4,), value)
    losses[2] += 1e-3  # the largest of the four
    return step, {"a": losses, "b": torch.ones(4)}, ids


def test_what_stays_in_its_order_is_no_spike_and_what_leaves_it_is():
    said = []
    guard = SpikeGuard(Spike(factor=3, warmup=5), said.extend)
    guard.see([watched(step, 1.0) for step in range(1, 20)])
    guard.see([watched(20, 2.9)])
    assert guard.take() == {}
    guard.see([watched(21, 30.0, torch.tensor([7, 8, 9, 10])), watched(22, 1.0)])
    line = guard.take()
    (spike,) = line["spiked"]
    assert line["spikes"] == 1
    assert (spike["step"], spike["term"], spike["samples"][0]) == (21, "a", 9)
    assert "the loss a spiked at step 21" in said[0]
    assert guard.take() == {}, "what was told is not told again"


class Told(Processes):
    """The second of two processes, of which the first has seen a spike."""

    def __init__(self, found) -> None:
        super().__init__(1, 2)
        self.found = found

    def largest(self, number):
        return max(number, len(self.found))

    def gathered(self, value):
        return [self.found, value]


@pytest.mark.parametrize("stop", [False, True])
def test_all_processes_learn_of_what_one_has_seen(stop):
    found = {"step": 3, "term": "a", "loss": 9.0, "mean": 1.0, "samples": [5], "whose": "sample ids"}
    said = []
    guard = SpikeGuard(Spike(stop=stop), said.extend, Told([found]))
    if stop:
        with pytest.raises(LossSpikeError, match=r"spiked at step 3.*sample ids \[5\]"):
            guard.see([])
        return
    guard.see([watched(3, 1.0)])
    line = guard.take()
    assert line["spikes"] == 1
    assert line["spiked"][0]["samples"] == [5]
    assert len(said) == 1


def test_one_does_not_hide_the_next_and_what_stays_high_becomes_usual():
    guard = SpikeGuard(Spike(factor=3, warmup=5))
    guard.see([watched(step, 1.0) for step in range(1, 6)])
    guard.see([watched(6, 30.0), watched(7, 10.0)])
    assert guard.take()["spikes"] == 2
    guard.see([watched(step, 10.0) for step in range(8, 400)])
    guard.take()
    guard.see([watched(400, 10.0)])
    assert guard.take() == {}


def test_nothing_is_told_in_the_warm_up_and_each_stage_has_its_own():
    guard = SpikeGuard(Spike(factor=3, warmup=10))
    guard.see([watched(step, 1.0 if step < 9 else 100.0) for step in range(1, 10)])
    assert guard.take() == {}
    guard.begin_stage()
    guard.see([watched(step, 100.0) for step in range(10, 30)])
    assert guard.take() == {}


def test_it_goes_on_where_it_was_saved():
    whole, first, second = (SpikeGuard(Spike(factor=3, warmup=5)) for _ in range(3))
    steps = [watched(step, 1.0 + step % 3 + 50 * (step == 15)) for step in range(1, 30)]
    whole.see(steps)
    first.see(steps[:17])
    second.load_state_dict(first.state_dict())
    second.see(steps[17:])
    assert second.take() == whole.take() != {}
    assert second.state_dict() == whole.state_dict()


def test_it_may_stop_the_run():
    guard = SpikeGuard(Spike(factor=3, warmup=5, stop=True))
    with pytest.raises(LossSpikeError, match=r"loss a spiked at step 6.*batch positions \[2"):
        guard.see([watched(step, 1.0 if step < 6 else 9.0) for step in range(1, 7)])


@pytest.mark.parametrize("bad", [{"factor": 1.0}, {"factor": float("nan")}, {"warmup": 0}])
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(ConfigurationError, match="Spike"):
        Spike(**bad)
    assert as_spike(None) is None
    assert as_spike(4) == Spike(4.0)


class Torn:
    """A loader with one batch of targets a thousand times too large."""

    def __init__(self, loader, at: int) -> None:
        self.loader, self.at, self.sampler = loader, at, loader.sampler

    def __len__(self):
        return len(self.loader)

    def __iter__(self):
        for place, batch in enumerate(self.loader):
            yield {**batch, "heatmap": batch["heatmap"] * 1000} if place == self.at else batch


@pytest.mark.parametrize("stop", [False, True])
def test_a_run_tells_the_step_the_term_and_the_samples(toy, tmp_path, stop, capsys):
    run = Trainer(
        Distiller(toy.student(), toy.curriculum()),
        Torn(toy.loader(40), 7),
        optimizer=partial(torch.optim.SGD, lr=1e-6),
        out=tmp_path / "run",
        spike=Spike(warmup=3, stop=stop),
        cpu=True,
    )
    if stop:
        with pytest.raises(LossSpikeError, match=r"step 8: .*sample ids"):
            run.fit()
        return
    run.fit()
    first, second, *_ = run.folder.read_metrics()
    assert first["spikes"] == 1
    assert first["spiked"][0]["step"] == 8
    assert first["spiked"][0]["term"] == "supervise/heatmap"
    assert all(1000 <= name < 1040 for name in first["spiked"][0]["samples"])
    assert second["spikes"] == 1
    assert "the loss supervise/heatmap spiked at step 8" in capsys.readouterr().err
