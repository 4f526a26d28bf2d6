import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdkit import ConfigurationError
from kdkit.balance import Uncertainty


def bound(*names):
    balance = Uncertainty()
    return balance, balance.bind("balance", names)


def balanced(balance, module, losses):
    return balance.balanced(losses, None, {"balance": module()}, {})


def test_at_the_start_every_term_is_what_it_was():
    balance, module = bound("a", "b")
    losses = {"b": torch.tensor(2.0), "a": torch.tensor(0.5)}
    assert balanced(balance, module, losses) == losses


@settings(max_examples=20, deadline=None)
@given(st.floats(-6, 6), st.floats(-6, 6))
def test_the_least_is_where_s_is_the_losses_logarithm(a, b):
    balance, module = bound("a", "b")
    losses = {"a": torch.tensor(math.exp(a)), "b": torch.tensor(math.exp(b))}
    optimizer = torch.optim.LBFGS(module.parameters(), lr=0.5, max_iter=200, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        total = sum(balanced(balance, module, losses).values())
        total.backward()
        return total

    optimizer.step(closure)
    assert module.log_variances.tolist() == pytest.approx([a, b], abs=1e-2)


@settings(max_examples=20, deadline=None)
@given(st.floats(-5, 5))
def test_the_students_gradient_is_scaled_by_exp_of_minus_s(s):
    balance, module = bound("a")
    module.log_variances.data.fill_(s)
    value = torch.tensor(3.0, requires_grad=True)
    balanced(balance, module, {"a": value.square()})["a"].backward()
    assert value.grad.item() == pytest.approx(6.0 * math.exp(-s), rel=1e-5)
    assert module.log_variances.grad.item() == pytest.approx(1 - 9.0 * math.exp(-s), rel=1e-5, abs=1e-5)


def test_each_name_has_its_own_and_absent_ones_learn_nothing():
    balance, module = bound("a", "b", "c")
    module.log_variances.data = torch.tensor([0.0, 1.0, 2.0])
    found = balanced(balance, module, {"c": torch.tensor(1.0), "a": torch.tensor(1.0)})
    assert {name: loss.item() for name, loss in found.items()} == pytest.approx({"c": math.exp(-2) + 2, "a": 1.0})
    sum(found.values()).backward()
    assert module.log_variances.grad[1] == 0
    assert (module.log_variances.grad[[0, 2]] == 0).tolist() == [True, False]


def test_a_loss_of_zero_stays_finite_and_finds_back():
    balance, module = bound("a")
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    for size, steps in ((0.0, 200), (1.0, 1)):
        for _ in range(steps):
            optimizer.zero_grad()
            total = balanced(balance, module, {"a": torch.tensor(size)})["a"]
            total.backward()
            before = module.log_variances.item()
            optimizer.step()
        assert math.isfinite(total.item())
    assert before == -200
    assert module.log_variances.item() > before


def test_two_balances_do_not_mix():
    one, other = Uncertainty(), Uncertainty()
    first, second = one.bind("balance 0", ("a",)), other.bind("balance 1", ("b",))
    second.log_variances.data.fill_(1.0)
    predictions = {"balance 0": first(), "balance 1": second()}
    assert one.balanced({"a": torch.tensor(1.0)}, None, predictions, {})["a"].item() == 1.0
    assert other.balanced({"b": torch.tensor(0.0)}, None, predictions, {})["b"].item() == 1.0


def test_unbound_use_is_refused():
    with pytest.raises(ConfigurationError, match="bind"):
        Uncertainty().balanced({"a": torch.tensor(1.0)}, None, {}, {})
    balance, module = bound("a")
    with pytest.raises(ConfigurationError, match=r"nothing for \['b'\]"):
        balanced(balance, module, {"b": torch.tensor(1.0)})
