"""The recorder of CUDA graphs: what of it can be tried without a device, and the whole step on one."""

import warnings
from contextlib import contextmanager, nullcontext
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from kdkit import ConfigurationError, Performance, Trainer
from kdkit.training.cuda_graph import CudaGraphRecorder
from kdkit.training.recorder import make_recorder

from .test_recorded_step import in_turn, loader, outcome, past, ramps, stages

CUDA = torch.device("cuda")


@pytest.fixture
def cuda(monkeypatch) -> SimpleNamespace:
    """Stands for CUDA and writes down what it is asked for."""
    found = SimpleNamespace(mode="default", modes=[], waits=[], replays=0, captures=[], refuses=False)

    class Stream:
        def __init__(self, device=None) -> None:
            self.device = device

        def wait_stream(self, other) -> None:
            found.waits.append((self, other))

    class Graph:
        def replay(self) -> None:
            found.replays += 1

    @contextmanager
    def capture(graph, **options):
        found.captures.append(options)
        try:
            yield
        finally:
            if found.refuses:
                raise RuntimeError("CUDA error: operation failed due to a previous error during capture")

    def set_mode(mode) -> None:
        found.mode = mode
        found.modes.append(mode)
        warnings.warn("Synchronization debug mode is a prototype feature", stacklevel=1)

    current = Stream()
    fakes = {
        "Stream": Stream,
        "CUDAGraph": Graph,
        "graph": capture,
        "current_stream": lambda device: current,
        "stream": lambda stream: nullcontext(),
        "graph_pool_handle": object,
        "get_sync_debug_mode": lambda: found.mode,
        "set_sync_debug_mode": set_mode,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    return found


def test_a_rehearsal_says_where_the_host_waits(cuda):
    def waiting() -> int:
        warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
        return 3

    result, fault = CudaGraphRecorder(CUDA).rehearse(waiting)
    assert result == 3
    assert fault.startswith("the host waits for the device at ")
    assert "test_cuda_graph.py:" in fault
    assert cuda.modes == ["warn", "default"]
    (into, current), (back, stream) = cuda.waits
    assert (into, current) == (stream, back)


def test_a_rehearsal_hands_other_warnings_on(cuda):
    with pytest.warns(UserWarning, match="of the user's") as caught:
        _, fault = CudaGraphRecorder(CUDA).rehearse(lambda: warnings.warn("of the user's", stacklevel=1))
    assert fault == ""
    assert len(caught) == 1


def test_a_rehearsal_that_fails_leaves_the_mode_as_it_was(cuda):
    with pytest.raises(ZeroDivisionError):
        CudaGraphRecorder(CUDA).rehearse(lambda: 1 / 0)
    assert cuda.mode == "default"


def test_a_recording_is_replayed_once_and_forgetting_begins_another_pool(cuda):
    recorder = CudaGraphRecorder(CUDA)
    result, replay = recorder.record(lambda: 5)
    assert (result, cuda.replays) == (5, 1)
    replay()
    assert cuda.replays == 2
    recorder.record(lambda: 5)
    recorder.forget()
    recorder.record(lambda: 5)
    first, second, third = cuda.captures
    assert first["pool"] is second["pool"] is not third["pool"]
    assert first["stream"] is third["stream"]
    assert first["capture_error_mode"] == "thread_local"


def test_a_refused_recording_names_what_went_wrong_first(cuda):
    cuda.refuses = True

    def reads():
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nand more")

    with pytest.raises(ConfigurationError, match=r"\(RuntimeError: CUDA error: operation not permitted when"):
        CudaGraphRecorder(CUDA).record(reads)
    assert cuda.replays == 0


def test_there_is_none_on_the_cpu():
    assert make_recorder(torch.device("cpu")) is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
class TestOnADevice:
    """Not yet run: no machine with a GPU was at hand when it was written."""

    def trainer(self, distiller, out, batches, **parts) -> Trainer:
        torch.manual_seed(7)
        performance = Performance(fused_optimizer=True, **parts)
        adam = partial(torch.optim.Adam, lr=1e-2)
        return Trainer(
            distiller,
            batches,
            optimizer=adam,
            out=out,
            performance=performance,
            ema=0.9,
            clip_norm=1.0,
            log_every=1000,
            progress=False,
        )

    @pytest.mark.parametrize("make", [ramps, in_turn, stages, past])
    def test_it_is_the_run_without_but_for_rounding(self, toy, tmp_path, make):
        self.trainer(make(toy), tmp_path / "eager", loader(toy)).fit()
        made = self.trainer(make(toy), tmp_path / "recorded", loader(toy), cuda_graph=True)
        made.fit()
        assert made._step._recorded.recordings > 0
        _, _, expected = outcome(tmp_path / "eager")
        _, _, found = outcome(tmp_path / "recorded")
        for one, other in zip(expected, found, strict=True):
            assert {name: other[name] for name in one} == pytest.approx(one, rel=1e-3)

    def test_a_replay_does_not_wait_for_the_device(self, toy, tmp_path, sync_errors):
        made = self.trainer(toy.distiller(), tmp_path, toy.loader(), cuda_graph=True)
        batch = {name: value.pin_memory() for name, value in toy.batch().items()}
        for _ in range(5):
            made.step(batch)
        assert made._step._recorded.recordings == 1
        with sync_errors():
            made.step(batch)

    def test_a_rehearsal_finds_what_waits(self):
        value = torch.ones(3, device=CUDA)
        assert "test_cuda_graph.py" in CudaGraphRecorder(CUDA).rehearse(lambda: value.sum().item())[1]
        assert CudaGraphRecorder(CUDA).rehearse(lambda: value.sum())[1] == ""
