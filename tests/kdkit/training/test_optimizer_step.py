"""Between looks at the losses nothing waits for the device, and a step is what Accelerate's would be."""

from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from kdkit import Trainer

from .test_moving_parts import DISTILLERS


class NoWaiting(TorchDispatchMode):
    """Fails where a value is read on the host."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        assert function is not torch.ops.aten._local_scalar_dense.default, "a value is read on the host"
        return function(*args, **(kwargs or {}))


def trainer(toy, out, distiller, **options) -> Trainer:
    optimizer = partial(torch.optim.Adam, lr=1e-2, fused=True)
    return Trainer(distiller, toy.loader(), optimizer=optimizer, out=out, progress=False, **options)


@pytest.fixture
def no_waiting(monkeypatch):
    def refused(self):
        raise AssertionError("a tensor is read on the host")

    def forbid():
        monkeypatch.setattr(torch.Tensor, "tolist", refused)
        return NoWaiting()

    return forbid


MAKERS = {"teachers": lambda toy: toy.distiller(), **DISTILLERS}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("options", [{}, {"ema": 0.9, "clip_norm": 1.0}], ids=["plain", "averaged"])
def test_nothing_is_read_on_the_host_between_looks(toy, tmp_path, no_waiting, make, options):
    made = trainer(toy, tmp_path, make(toy), log_every=3, cpu=True, **options)
    step, batch = made._step, toy.batch()
    step._always_looks = False  # as on an accelerator
    step([batch])
    mode = no_waiting()
    with mode:
        step([batch])
    with pytest.raises(AssertionError, match="read on the host"), mode:
        step([batch])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("make", [*MAKERS.values(), "max"], ids=[*MAKERS, "max"])
@pytest.mark.parametrize("options", [{}, {"ema": 0.9, "clip_norm": 1.0}], ids=["plain", "averaged"])
def test_the_device_is_not_waited_for_between_looks(toy, tmp_path, sync_errors, make, options):
    # Compiled only once, which takes long.
    performance, make = ("max", MAKERS["teachers"]) if make == "max" else ("default", make)
    made = trainer(toy, tmp_path, make(toy), log_every=1000, performance=performance, **options)
    batch = {name: value.pin_memory() for name, value in toy.batch().items()}
    for _ in range(3):
        made.step(batch)
    with sync_errors():
        made.step(batch)


def test_a_scaled_step_is_the_same(toy, tmp_path):
    """Gradients are unscaled before they are clipped, and before the step."""
    weights = []
    for name in ("plain", "scaled"):
        torch.manual_seed(3)
        made = trainer(toy, tmp_path / name, toy.distiller(), clip_norm=0.01, cpu=True)
        made.distiller.student.eval()  # without dropout
        made._engine._accelerator.scaler = (
            torch.amp.GradScaler("cpu", init_scale=64.0) if name == "scaled" else None
        )
        for _ in range(3):
            made.step(toy.batch())
        weights.append(list(made.distiller.student.parameters()))
    for plain, scaled in zip(*weights, strict=True):
        torch.testing.assert_close(scaled, plain)


def test_an_overflow_leaves_the_step_out_and_lowers_the_scale(toy, tmp_path):
    made = trainer(toy, tmp_path, toy.distiller(), cpu=True)
    scaler = made._engine._accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    made.distiller.student.module[0].weight.register_hook(lambda gradient: gradient * float("inf"))
    before = [value.detach().clone() for value in made.distiller.student.parameters()]
    made.step(toy.batch())
    assert scaler.get_scale() == 32
    for value, old in zip(made.distiller.student.parameters(), before, strict=True):
        assert torch.equal(value, old)
