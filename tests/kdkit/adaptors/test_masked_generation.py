"""Masked generation: the mask, its randomness, and the module around it."""

import pytest
import torch
from torch import nn

from kdkit import Adaptor, BatchError, ConfigurationError, Student, losses
from kdkit.adaptors import MaskedGeneration


def seeing(mask_ratio: float, channels_in: int = 4, channels_out: int = 4) -> MaskedGeneration:
    """One whose generation passes on what it gets, so that the mask is seen."""
    module = MaskedGeneration(channels_in, channels_out, mask_ratio)
    module.generate = nn.Identity()
    return module


@pytest.mark.parametrize("mask_ratio", [0.2, 0.65, 0.9])
def test_hides_that_share_of_positions_in_all_channels_each_sample_its_own(mask_ratio):
    torch.manual_seed(0)
    hidden = seeing(mask_ratio)(torch.ones(4, 4, 64, 48)) == 0
    assert (hidden == hidden[:, :1]).all()
    assert hidden.float().mean((1, 2, 3)).sub(mask_ratio).abs().max() < 0.05
    assert not torch.equal(hidden[0], hidden[1])


def test_leaves_what_it_does_not_hide_as_it_is():
    torch.manual_seed(0)
    feature = torch.randn(2, 4, 8, 8)
    passed = seeing(0.5)(feature)
    torch.testing.assert_close(passed, torch.where(passed == 0, 0, feature), rtol=0, atol=0)


def test_hides_after_alignment():
    """What is hidden is 0, not the alignment's bias."""
    torch.manual_seed(0)
    module = seeing(0.65, 4, 6)
    hidden = module(torch.randn(2, 4, 16, 16)) == 0
    assert hidden.all(1).float().mean().sub(0.65).abs() < 0.1


def test_hides_nothing_in_eval_mode_and_draws_nothing():
    module = seeing(0.9).eval()
    state = torch.get_rng_state()
    feature = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(module(feature), feature, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_global_generators_state_brings_the_same_mask_back():
    module, feature = MaskedGeneration(4, 6), torch.randn(2, 4, 8, 8)
    state = torch.get_rng_state()
    first, second = module(feature), module(feature)
    assert not torch.equal(first, second)
    torch.set_rng_state(state)
    torch.testing.assert_close(module(feature), first, rtol=0, atol=0)


def test_aligns_only_where_channels_differ():
    assert len(list(MaskedGeneration(4, 4).parameters())) == 4  # two convolutions with bias
    assert len(list(MaskedGeneration(4, 6).parameters())) == 6
    assert MaskedGeneration(4, 6).align.kernel_size == (1, 1)


def test_trains_beside_a_student_and_not_in_it():
    torch.manual_seed(0)
    network = nn.Conv2d(3, 4, 1)
    student = Student(network, outputs="neck", adaptors={"made": Adaptor("neck", MaskedGeneration(4, 6))})
    outputs = student({"image": torch.randn(2, 3, 8, 8)})
    losses.masked_generative(outputs["made"], torch.randn(2, 6, 8, 8)).mean().backward()
    assert all(parameter.grad is not None for parameter in student.parameters())
    assert set(student.module.state_dict()) == {"weight", "bias"}
    student.eval()
    assert not student.adaptors["made"].training


def test_learns_to_make_a_teachers_feature():
    torch.manual_seed(0)
    module, feature = MaskedGeneration(4, 6, mask_ratio=0.3), torch.randn(8, 4, 6, 6)
    target = nn.Conv2d(4, 6, 1)(feature).detach()
    optimizer = torch.optim.Adam(module.parameters(), 1e-2)
    values = []
    for _ in range(60):
        loss = losses.masked_generative(module(feature), target).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(float(loss.detach()))
    assert sum(values[-5:]) < 0.7 * sum(values[:5])


def test_compiles_whole():
    torch.compiler.reset()
    module = MaskedGeneration(4, 6)
    compiled = torch.compile(module, fullgraph=True, backend="eager")
    feature = torch.randn(2, 4, 8, 8)
    torch.manual_seed(1)
    expected = module(feature)
    torch.manual_seed(1)
    torch.testing.assert_close(compiled(feature), expected)


def test_runs_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        assert MaskedGeneration(4, 6)(torch.randn(2, 4, 8, 8)).isfinite().all()


@pytest.mark.parametrize("mask_ratio", [-0.1, 1.0, float("nan")])
def test_ratios_outside_are_refused(mask_ratio):
    with pytest.raises(ConfigurationError, match="mask_ratio"):
        MaskedGeneration(4, 6, mask_ratio)


def test_no_channels_are_refused():
    with pytest.raises(ConfigurationError, match="channels_out=0"):
        MaskedGeneration(4, 0)


@pytest.mark.parametrize("shape", [(2, 5, 8, 8), (2, 4, 8)])
def test_another_feature_is_named(shape):
    with pytest.raises(BatchError, match=r"\[B, 4, h, w\]"):
        MaskedGeneration(4, 6)(torch.zeros(shape))


def test_its_repr_names_the_ratio():
    assert "mask_ratio=0.65" in repr(MaskedGeneration(4, 6))
