import copy

import pytest
import torch
from torch import nn

from kdkit import BatchError, ConfigurationError, ModuleTeacher


def frozen_copy(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def assert_untouched(module: nn.Module, before: dict[str, torch.Tensor]) -> None:
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_is_frozen_whatever_calls_train(toy):
    teacher = toy.primary()
    before = frozen_copy(teacher.module)
    batch = toy.batch()
    first = teacher.targets(batch)["heatmap"]
    teacher.module.train()
    teacher.module[1].train()
    nn.ModuleList([teacher.module]).train()
    again = teacher.targets(batch)["heatmap"]
    assert torch.equal(first, again)
    assert_untouched(teacher.module, before)
    assert not any(module.training for module in teacher.module.modules())
    assert not any(parameter.requires_grad for parameter in teacher.module.parameters())


def test_targets_have_no_gradient_but_may_meet_trainable_tensors(toy):
    target = toy.primary().targets(toy.batch())["heatmap"]
    assert not target.requires_grad
    assert not target.is_inference()
    weight = torch.ones((), requires_grad=True)
    (target * weight).sum().backward()
    assert weight.grad is not None


def test_reads_its_inputs_in_order(toy):
    teacher = toy.senior()
    batch = toy.batch()
    expected = teacher.module(batch["image"], batch["mask"])
    assert torch.equal(teacher.targets(batch)["heatmap"], expected)


def test_is_not_run_under_autocast(toy):
    teacher = toy.primary()
    batch = toy.batch()
    expected = teacher.targets(batch)["heatmap"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(teacher.targets(batch)["heatmap"], expected)


def test_dtype_casts_once_and_gives_float32(toy):
    exact = toy.primary()
    teacher = ModuleTeacher("t", copy.deepcopy(exact.module), "image", "heatmap", dtype=torch.bfloat16)
    assert all(parameter.dtype == torch.bfloat16 for parameter in teacher.module.parameters())
    target = teacher.targets(toy.batch())["heatmap"]
    assert target.dtype == torch.float32
    torch.testing.assert_close(target, exact.targets(toy.batch())["heatmap"], atol=0.05, rtol=0.05)


class Several(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, image):
        if self.kind == "mapping":
            return {"heatmap": image, "feature": image * 2, "more": image}
        return (image, image * 2)


@pytest.mark.parametrize("kind", ["mapping", "tuple"])
def test_names_several_outputs(toy, kind):
    teacher = ModuleTeacher("t", Several(kind), "image", ("heatmap", "feature"))
    targets = teacher.targets(toy.batch())
    assert list(targets) == ["heatmap", "feature"]
    assert torch.equal(targets["feature"], targets["heatmap"] * 2)


def test_wrong_outputs_are_named(toy):
    with pytest.raises(ConfigurationError, match=r"teacher 't' declares 1 output.*returned 2"):
        ModuleTeacher("t", Several("tuple"), "image", "heatmap").targets(toy.batch())
    with pytest.raises(ConfigurationError, match=r"\['depth'\].*'feature'"):
        ModuleTeacher("t", Several("mapping"), "image", "depth").targets(toy.batch())


def test_a_missing_field_is_named(toy):
    batch = toy.batch()
    del batch["mask"]
    with pytest.raises(BatchError, match=r"teacher 'senior' reads the field 'mask', which the batch lacks"):
        toy.senior().targets(batch)


def test_a_teacher_that_fails_says_who_it_is_and_what_it_was_given(toy):
    with pytest.raises(RuntimeError) as caught:
        toy.primary().targets({"image": torch.zeros(1, 7, 4, 4)})
    assert caught.value.__notes__ == ["teacher 'primary' was given {'image': [1, 7, 4, 4]}"]


def test_a_fingerprint_tells_weights_apart_and_nothing_else(toy):
    one, same = toy.primary(), toy.primary()
    assert one.fingerprint() == same.fingerprint()
    one.targets(toy.batch())
    assert one.fingerprint() == same.fingerprint()
    assert (
        one.fingerprint()
        != ModuleTeacher("primary", toy.network(width=12, seed=2), "image", "heatmap").fingerprint()
    )
    with torch.no_grad():
        one.module[1].running_mean[0] += 1e-6
    assert one.fingerprint() != same.fingerprint()
    half = ModuleTeacher("half", toy.network(), "image", "heatmap", dtype=torch.bfloat16)
    assert len(half.fingerprint()) == 64


def test_what_cannot_be_hashed_has_no_fingerprint(toy):
    class Extra(torch.nn.Conv2d):
        def get_extra_state(self):
            return {"version": 1}

        def set_extra_state(self, state):
            pass

    assert ModuleTeacher("extra", Extra(3, 5, 1), "image", "heatmap").fingerprint() is None
    hidden = toy.network()
    hidden.register_buffer("offset", torch.zeros(3), persistent=False)
    one = ModuleTeacher("hidden", hidden, "image", "heatmap").fingerprint()
    hidden.offset += 1
    assert ModuleTeacher("hidden", hidden, "image", "heatmap").fingerprint() != one
