"""How latency is measured, not how long it is."""

from itertools import count

import pytest
import torch

from kdkit import ConfigurationError
from kdkit_pose.models import latency
from kdkit_pose.models.latency import describe_machine, measure_latency


@pytest.fixture
def passes(small_network):
    """A network that records what it is called with."""
    network = small_network(mask_fusion="multiply").train()
    network.layer1.eval()
    seen = []

    def record(module, inputs):
        seen.append(([tuple(value.shape) for value in inputs], module.training, torch.is_grad_enabled()))

    network.register_forward_pre_hook(record)
    return network, seen


@pytest.fixture
def clock(monkeypatch):
    """Lets each pass take what is set, in seconds."""

    def set_times(times):
        remaining = iter(times)
        steps = (value for seconds in remaining for value in (0.0, seconds))
        monkeypatch.setattr(latency.time, "perf_counter", lambda: next(steps))

    return set_times


def test_passes_are_in_eval_mode_of_the_batch_asked_for(passes):
    network, seen = passes
    found = measure_latency(network, 2, (32, 64), seconds=0)
    assert set(map(str, seen)) == {str(([(2, 3, 64, 32), (2, 1, 64, 32)], False, False))}
    assert network.training
    assert not network.layer1.training
    assert found.batch == 2
    assert found.milliseconds > 0


def test_the_median_leaves_out_the_first_pass(passes, clock):
    clock([60.0, 0.5, 0.1, 0.3, 0.2])
    assert measure_latency(passes[0], 1, (32, 32), seconds=2) == latency.Latency(250.0, 4, 1)
    assert len(passes[1]) == 5


@pytest.mark.parametrize(("seconds", "runs"), [(0.01, 50), (0.1, 20), (1.5, 3), (2.5, 1)])
def test_there_are_as_many_passes_as_there_is_time_for(passes, clock, seconds, runs):
    clock(seconds for _ in count())
    found = measure_latency(passes[0], 1, (32, 32), seconds=2)
    assert found.runs == runs == len(passes[1]) - 1
    assert found.milliseconds == pytest.approx(1000 * seconds)


def test_the_machine_is_named_with_what_counts():
    text = describe_machine(torch.device("cpu"))
    assert f"{torch.get_num_threads()} thread" in text
    assert torch.__version__ in text
    assert not text.startswith(",")


def test_nothing_is_no_batch(small_network):
    with pytest.raises(ConfigurationError, match="batch is 0"):
        measure_latency(small_network(), 0)
    with pytest.raises(ConfigurationError, match=r"models\.create"):
        measure_latency(torch.nn.Conv2d(3, 1, 1))
