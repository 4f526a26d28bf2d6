"""What Magnitude and GradientNorm have in common: computed factors that carry no gradient."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import distributed, multiprocessing, nn

from kdkit import ConfigurationError, Student
from kdkit.balance import GradientNorm, Magnitude, Uncertainty
from kdkit.errors import CheckpointError

STUDENT = Student(nn.Conv2d(1, 1, 1))
MAKERS = [
    Magnitude,
    lambda **options: Magnitude(decay=0.5, **options),
    GradientNorm,
    lambda: GradientNorm(every=3),
]
makers = pytest.mark.parametrize("make", MAKERS)
quick = settings(max_examples=20, deadline=None)
scales = st.dictionaries(st.sampled_from("abcd"), st.floats(1e-5, 1e5), min_size=1)


def step(balance, scales):
    """Return every term's loss, balanced loss, and balanced gradient at a shared output of ones."""
    output = torch.ones(2, 3, requires_grad=True)
    losses = {name: scale * output.square().mean() for name, scale in scales.items()}
    balanced = balance.balanced(losses, STUDENT, {"heatmap": output}, dict.fromkeys(scales, "heatmap"))
    assert balanced.keys() == scales.keys()
    gradients = {name: torch.autograd.grad(loss, output, retain_graph=True)[0] for name, loss in balanced.items()}
    return {name: loss.item() for name, loss in balanced.items()}, gradients


@makers
@quick
@given(first=scales)
def test_after_the_first_step_all_terms_are_equal_and_their_sum_is_kept(make, first):
    balanced, gradients = step(make(), first)
    mean = sum(first.values()) / len(first)
    assert list(balanced.values()) == [pytest.approx(mean, rel=1e-4)] * len(first)
    norms = [gradient.norm().item() for gradient in gradients.values()]
    assert norms == [pytest.approx(norms[0], rel=1e-4)] * len(first)


@makers
@quick
@given(
    steps=st.lists(st.tuples(st.floats(1e-2, 1e2), st.floats(1e-2, 1e2)), min_size=1, max_size=6),
    factor=st.floats(1e-4, 1e4),
)
def test_the_scale_of_a_loss_changes_nothing_between_the_terms(make, steps, factor):
    plain, scaled = make(), make()
    for a, b in steps:
        (one, _), (other, _) = step(plain, {"a": a, "b": b}), step(scaled, {"a": a * factor, "b": b})
        assert other["a"] / other["b"] == pytest.approx(one["a"] / one["b"], rel=1e-3)


@makers
@quick
@given(values=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=5))
def test_equal_terms_and_a_single_term_stay_as_they_are(make, values):
    equal, alone = make(), make()
    for value in values:
        assert step(equal, {"a": value, "b": value})[0] == pytest.approx({"a": value, "b": value}, rel=1e-5)
        assert step(alone, {"a": value})[0] == pytest.approx({"a": value}, rel=1e-6)


@makers
def test_factors_carry_no_gradient(make):
    balanced, gradients = step(make(), {"a": 1.0, "b": 7.0})
    for name, gradient in gradients.items():
        # The gradient of factor * scale * mean(output^2), with the factor held constant, is 2 * value / elements.
        torch.testing.assert_close(gradient, torch.full((2, 3), 2 * balanced[name] / 6))


@makers
@quick
@given(before=st.lists(scales, max_size=5), after=st.lists(scales, min_size=1, max_size=5))
def test_a_restored_balance_goes_on_exactly(make, before, after):
    straight, restored = make(), make()
    for one in before:
        step(straight, one)
    step(restored, {"a": 3.0, "other": 1.0})
    restored.load_state_dict(copy.deepcopy(straight.state_dict()))
    for one in after:
        assert step(straight, one)[0] == step(restored, one)[0]
    assert straight.state_dict().keys() == restored.state_dict().keys()


@makers
def test_a_state_is_a_copy_that_torch_saves(make, tmp_path):
    balance = make()
    step(balance, {"a": 1.0, "b": 2.0})
    state = balance.state_dict()
    torch.save(state, tmp_path / "state.pt")
    loaded = torch.load(tmp_path / "state.pt", weights_only=True)
    step(balance, {"a": 100.0, "b": 2.0})
    assert all(torch.equal(state[name], loaded[name]) for name in loaded)


@makers
def test_zero_is_safe_and_does_not_count_among_the_others(make):
    balanced, gradients = step(make(), {"a": 0.0, "b": 2.0, "c": 6.0})
    assert balanced == pytest.approx({"a": 0.0, "b": 4.0, "c": 4.0})
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
    assert step(make(), {"a": 0.0})[0] == {"a": 0.0}
    assert make().balanced({}, STUDENT, {}, {}) == {}


@makers
@quick
@given(st.integers(1, 20))
def test_a_loss_that_wakes_up_stays_finite(make, asleep):
    balance = make()
    for _ in range(asleep):
        step(balance, {"a": 0.0, "b": 1.0})
    for _ in range(5):
        balanced, _ = step(balance, {"a": 1.0, "b": 1.0})
    assert 0 < balanced["a"] <= 101


@makers
def test_what_is_not_finite_is_not_counted(make):
    plain, shaken = make(), make()
    for balance in (plain, shaken):
        step(balance, {"a": 1.0, "b": 2.0})
    step(shaken, {"a": float("nan"), "b": 2.0})
    step(plain, {"b": 2.0})
    assert step(shaken, {"a": 1.0, "b": 2.0})[0] == step(plain, {"a": 1.0, "b": 2.0})[0]


@makers
def test_terms_that_take_turns_are_balanced_among_those_present(make):
    balance, size = make(), {"truth": 1.0, "a": 10.0, "b": 1000.0}
    for turn in range(12):
        names = ("truth", "a" if turn % 2 == 0 else "b")
        balanced, _ = step(balance, {name: size[name] for name in names})
        assert list(balanced.values()) == [pytest.approx(sum(size[name] for name in names) / 2, rel=1e-4)] * 2


@makers
def test_nothing_is_measured_without_gradients(make):
    balance = make()
    step(balance, {"a": 1.0, "b": 3.0})
    before = balance.state_dict()
    with torch.no_grad():
        losses = {"a": torch.tensor(100.0), "b": torch.tensor(0.1)}
        balanced = balance.balanced(losses, STUDENT, {}, dict.fromkeys(losses, "heatmap"))
    assert balanced["a"].item() == pytest.approx(200.0)
    assert all(torch.equal(value, before[name]) for name, value in balance.state_dict().items())


@makers
def test_a_new_run_forgets_the_last_one(make):
    balance = make()
    step(balance, {"a": 1.0, "b": 3.0})
    assert balance.bind("balance", ("a", "b")) is None
    assert balance.state_dict() == {}


def test_repr_tells_the_settings_alone_and_identity_is_what_counts():
    for make in (Magnitude, GradientNorm, Uncertainty):
        one, other = make(), make()
        before = repr(one)
        one.bind("key", ("a", "b"))
        if make is not Uncertainty:
            step(one, {"a": 1.0, "b": 3.0})
        assert repr(one) == before == repr(other)
        assert one != other
        assert len({one, other}) == 2
    assert repr(Magnitude(0.5)) == "Magnitude(decay=0.5)"
    assert repr(GradientNorm("stage4", every=10)) == "GradientNorm(part='stage4', decay=0.9, every=10)"


@pytest.mark.parametrize("make", [Magnitude, GradientNorm])
@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_a_decay_out_of_range_is_refused(make, decay):
    with pytest.raises(ConfigurationError, match="decay"):
        make(decay=decay)


def test_another_balances_state_is_refused():
    magnitude = Magnitude()
    step(magnitude, {"a": 1.0})
    with pytest.raises(CheckpointError, match="'a'"):
        Uncertainty().load_state_dict(magnitude.state_dict())
    with pytest.raises(CheckpointError, match=r"\[3\], expected \[2\]"):
        magnitude.load_state_dict({"a": torch.zeros(3)})
    Uncertainty().load_state_dict({})


def _process(rank, folder):
    distributed.init_process_group("gloo", f"file://{folder}/rendezvous", rank=rank, world_size=2)
    try:
        found = []
        for make in (Magnitude, GradientNorm):
            balance = make()
            for sizes in ([(1.0, 8.0), (5.0, 2.0)], [(2.0, 2.0), (4.0, 1.0)]):
                balanced, _ = step(balance, dict(zip("ab", sizes[rank], strict=True)))
                found.append({name: balanced[name] / value for name, value in zip("ab", sizes[rank], strict=True)})
        torch.save(found, f"{folder}/{rank}.pt")
    finally:
        distributed.destroy_process_group()


def test_every_process_uses_the_factors_of_the_mean(tmp_path):
    multiprocessing.spawn(_process, (str(tmp_path),), nprocs=2)
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for make, start in ((Magnitude, 0), (GradientNorm, 2)):
        balance = make()
        for position, sizes in enumerate(({"a": 3.0, "b": 5.0}, {"a": 3.0, "b": 1.5})):
            balanced, _ = step(balance, sizes)
            expected = {name: balanced[name] / value for name, value in sizes.items()}
            for rank in ranks:
                assert rank[start + position] == pytest.approx(expected, rel=1e-5)
