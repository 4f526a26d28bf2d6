"""What holds for every loss."""

import inspect

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kdkit import BatchError, losses
from kdkit.reduction import reduce_samples

from .cases import CASES, Case, Inputs, floats

every_case = pytest.mark.parametrize("case", CASES, ids=str)
FUNCTIONS = [name for name in losses.__all__ if not name.startswith("require_")]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_loss_has_a_reference(name):
    """A loss that is exported and not in CASES fails here."""
    assert name in {case.name for case in CASES}, f"losses.{name} is exported: add a Case with a slow reference"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_option_is_tried(name):
    function = getattr(losses, name)
    options = {p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY}
    tried = {key for case in CASES if case.name == name for key in case.options}
    assert options - {"label"} <= tried


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_loss_is_in_the_tutorial(name):
    assert f"`{name}`" in losses.__doc__


def shapes(case: Case) -> st.SearchStrategy[tuple[int, ...]]:
    def with_dimensions(count: int) -> st.SearchStrategy[tuple[int, ...]]:
        return st.tuples(st.integers(1, 4), st.integers(2, 4), *[st.integers(1, 5)] * (count - 2))

    return st.sampled_from(case.dimensions).flatmap(with_dimensions)


@every_case
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_agrees_with_the_reference(case, data):
    inputs = case.inputs(data.draw(shapes(case)), data.draw(st.integers(0, 2**31)))
    torch.testing.assert_close(case(inputs), case.expected(inputs), rtol=1e-10, atol=1e-10)


@every_case
def test_gradient(case):
    inputs = case.inputs(case.shape, seed=1)

    def loss(prediction: Tensor) -> Tensor:
        return case(Inputs(prediction, inputs.target, inputs.fields))

    assert torch.autograd.gradcheck(loss, inputs.prediction.requires_grad_())


@pytest.mark.parametrize("case", [case for case in CASES if not case.mixes], ids=str)
def test_is_batch_first_and_each_sample_stands_alone(case):
    inputs = case.inputs(case.shape, seed=2)
    torch.testing.assert_close(case(inputs)[1:], case(inputs.map(lambda value: value[1:])))


@every_case
def test_samples_may_come_in_any_order(case):
    inputs = case.inputs(case.shape, seed=3)
    order = torch.tensor([2, 0, 1])
    expected = case(inputs)[order]
    if case.name.startswith("relational"):
        for dimension in range(1, expected.ndim):
            expected = expected.index_select(dimension, order)
    torch.testing.assert_close(case(inputs.map(lambda value: value[order])), expected)


@every_case
@pytest.mark.parametrize("reduction", ["mean", "weighted_mean"])
def test_is_reduced_to_one_value_a_sample(case, reduction):
    loss_map = case(case.inputs(case.shape, seed=4))
    samples = reduce_samples(loss_map, None, reduction)
    assert samples.shape == case.shape[:1]
    torch.testing.assert_close(samples.mean(), loss_map.mean())
    without_first = reduce_samples(loss_map, torch.tensor([0.0, 1.0, 1.0]), reduction)
    assert without_first[0] == 0
    assert without_first[1:].abs().sum() > 0


@every_case
def test_compiled_equals_eager(case):
    torch.compiler.reset()
    compiled = torch.compile(case.loss, fullgraph=True, dynamic=True, backend="eager")
    inputs = case.inputs(case.shape, seed=5)
    found = []
    for loss in (case.loss, compiled):
        prediction = inputs.prediction.clone().requires_grad_()
        value = loss(prediction, inputs.target, **inputs.fields)
        found.append((value, *torch.autograd.grad(value.sum(), prediction)))
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=0)


@every_case
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_computes_in_float32(case, dtype):
    half = floats(case.inputs(case.shape, seed=6), dtype)
    expected = case(floats(half, torch.float32))
    assert expected.dtype == torch.float32
    torch.testing.assert_close(case(half), expected, rtol=0, atol=0)
    with torch.autocast("cpu", dtype):
        torch.testing.assert_close(case(half), expected, rtol=0, atol=0)
        torch.testing.assert_close(case(floats(half, torch.float32)), expected, rtol=0, atol=0)


def assert_finite(case: Case, inputs: Inputs) -> Tensor:
    """Return the gradient in float32: a sum's may be more than half precision can hold, however it is found."""
    assert case(inputs).isfinite().all()
    prediction = inputs.prediction.float().requires_grad_()
    value = case(Inputs(prediction, inputs.target, inputs.fields))
    (gradient,) = torch.autograd.grad(value.sum(), prediction)
    assert gradient.isfinite().all()
    return gradient


def filled(value: float, inputs: Inputs, both: bool = True) -> Inputs:
    target = inputs.target
    if both and target.is_floating_point():
        target = torch.full_like(target, value)
    return Inputs(torch.full_like(inputs.prediction, value), target, inputs.fields)


@every_case
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("both", [True, False], ids=["both", "student"])
@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e-7, -3e4, 6e4])
def test_constant_input_is_finite(case, value, both, dtype):
    assert_finite(case, filled(value, floats(case.inputs(case.shape, seed=7), dtype), both))


@every_case
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("factor", [1e-7, 1e4])
def test_tiny_and_huge_input_is_finite(case, factor, dtype):
    inputs = case.inputs(case.shape, seed=8).map(
        lambda value: value * factor if value.is_floating_point() else value
    )
    if case.draw.__name__.endswith("probabilities"):
        inputs = Inputs(inputs.prediction, inputs.target / factor)
    assert_finite(case, floats(inputs, dtype))


@every_case
def test_one_sample_one_position_is_finite(case):
    assert_finite(case, floats(case.inputs((1, 2, 1, 1)[: max(case.dimensions)]), torch.float32))


@every_case
def test_equal_samples_are_finite(case):
    """With a common offset, so that the samples' mean is rounded."""
    inputs = floats(case.inputs(case.shape, seed=9), torch.float32)
    one = inputs.map(lambda value: value[:1].expand(3, *value.shape[1:]).clone())
    assert_finite(case, Inputs(one.prediction + 100.1, one.target, one.fields))


@every_case
def test_no_gradient_is_sent_where_there_is_no_direction(case):
    """A silent feature must not get an enormous gradient by division by a tiny length."""
    inputs = floats(case.inputs(case.shape, seed=10), torch.float32)
    assert assert_finite(case, filled(0.0, inputs, both=False)).abs().max() < 100


@every_case
def test_nan_stays_nan(case):
    """A student that diverged must not look like one that is silent."""
    inputs = case.inputs(case.shape, seed=11)
    prediction = inputs.prediction.clone()
    prediction[1] = torch.nan
    fields = {name: torch.zeros_like(value) for name, value in inputs.fields.items()}
    target = inputs.target if inputs.target.is_floating_point() else torch.zeros_like(inputs.target)
    assert case(Inputs(prediction, target, fields))[1].isnan().any()


ZERO_AT_EQUALITY = sorted(set(FUNCTIONS) - {"bce", "bce_with_logits", "cross_entropy", "heatmap_kl"})


@pytest.mark.parametrize("name", ZERO_AT_EQUALITY)
def test_is_zero_on_average_where_student_equals_teacher(name):
    for case in (case for case in CASES if case.name == name):
        inputs = case.inputs(case.shape, seed=12)
        equal = case(Inputs(inputs.prediction, inputs.prediction, inputs.fields))
        # Spread over samples, single entries of dist are not zero; their mean is.
        zeros = equal.mean() if name == "dist" else equal
        assert zeros.abs().max() < 1e-12


OF_TWO_MAPS = [
    case
    for case in CASES
    if case.draw.__name__ in ("same", "probabilities", "two_probabilities", "other_channels", "labelled")
]


@pytest.mark.parametrize("case", [case for case in OF_TWO_MAPS if not case.name.startswith("relational")], ids=str)
def test_another_size_asks_for_resize(case):
    inputs = case.inputs((2, 3, 4, 5))
    with pytest.raises(BatchError, match=r"4x5.*8x10.*Resize\(4, 5\)"):
        case(Inputs(inputs.prediction, torch.zeros(2, 3, 8, 10), inputs.fields))


CHANNELS_MAY_DIFFER = {"attention_transfer", "pairwise_similarity", "relational_angle", "relational_distance"}


@every_case
def test_other_channels_ask_for_an_adaptor(case):
    inputs = case.inputs((2, 3, 4, 5))
    wider = Inputs(inputs.prediction, torch.zeros(2, 6, 4, 5), inputs.fields)
    if case.name in CHANNELS_MAY_DIFFER:
        assert case(wider).shape[0] == 2
    else:
        with pytest.raises(BatchError, match="Adaptor"):
            case(wider)


@pytest.mark.parametrize("name", ["spatial_kl", "heatmap_kl", "attention_transfer", "pairwise_similarity"])
def test_maps_are_needed(name):
    with pytest.raises(BatchError, match=rf"{name} needs maps.*\(2, 3\)"):
        getattr(losses, name)(torch.zeros(2, 3), torch.zeros(2, 3))
