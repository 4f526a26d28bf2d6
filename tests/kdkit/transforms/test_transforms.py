import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kdkit import (
    BatchError,
    Binarize,
    ConfigurationError,
    Identity,
    Normalize,
    Resize,
    Temperature,
    Truncate,
)

ALL = [
    Identity(),
    Binarize(0.5),
    Truncate(0.1),
    Temperature(2.0),
    Resize(4, 3),
    Normalize("sum"),
    Normalize("peak"),
    Normalize("l2"),
    Normalize("standard"),
    Binarize(0.3) >> Resize(4, 3),
]


def maps(seed: int = 0) -> torch.Tensor:
    return torch.rand(2, 5, 8, 6, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("transform", ALL, ids=repr)
def test_is_pure(transform):
    target = maps()
    before = target.clone()
    once, again = transform(target), transform(target)
    assert torch.equal(target, before)
    assert torch.equal(once, again)


@pytest.mark.parametrize("transform", ALL, ids=repr)
def test_treats_each_sample_on_its_own(transform):
    target = maps()
    torch.testing.assert_close(transform(target)[1:], transform(target[1:]))


@given(st.floats(0.01, 1.0), st.integers(0, 100))
def test_binarize_is_idempotent(threshold, seed):
    transform = Binarize(threshold)
    once = transform(maps(seed))
    assert torch.equal(transform(once), once)
    assert set(once.unique().tolist()) <= {0.0, 1.0}


def test_binarize_keeps_what_is_exactly_at_the_threshold():
    assert Binarize(1.0)(torch.tensor([[0.5, 1.0]])).tolist() == [[0.0, 1.0]]


@given(st.floats(0.0, 2.0), st.integers(0, 100))
def test_truncate_is_idempotent_and_keeps_the_rest(floor, seed):
    target = maps(seed) - 0.5
    once = Truncate(floor)(target)
    assert torch.equal(Truncate(floor)(once), once)
    assert torch.equal(once[target >= floor], target[target >= floor])
    assert (once[target < floor] == 0).all()


def test_composition_applies_left_to_right_and_is_associative():
    a, b, c = Truncate(0.25), Temperature(0.5), Binarize(0.9)
    target = maps()
    assert torch.equal((a >> b)(target), b(a(target)))
    assert (a >> b) >> c == a >> (b >> c)
    assert (Identity() >> a).steps == (a,)


def test_resize_gives_the_size_and_keeps_constants():
    resized = Resize(16, 12)(torch.full((1, 2, 8, 6), 0.25))
    assert resized.shape == (1, 2, 16, 12)
    torch.testing.assert_close(resized, torch.full_like(resized, 0.25))
    assert Resize(8, 6, "nearest")(maps()).shape == (2, 5, 8, 6)
    with pytest.raises(BatchError, match=r"\[B, K, h, w\]"):
        Resize(2, 2)(torch.zeros(2, 3))


def test_normalize():
    target = maps()
    torch.testing.assert_close(Normalize("sum")(target).sum((-2, -1)), torch.ones(2, 5))
    torch.testing.assert_close(Normalize("peak")(target).amax((-2, -1)), torch.ones(2, 5))
    torch.testing.assert_close(Normalize("l2", dims=(-3,))(target).norm(dim=1), torch.ones(2, 8, 6))
    standard = Normalize("standard")(target)
    torch.testing.assert_close(standard.mean((-2, -1)), torch.zeros(2, 5), atol=1e-5, rtol=0)
    torch.testing.assert_close(standard.std((-2, -1), unbiased=False), torch.ones(2, 5))


@pytest.mark.parametrize("mode", ["sum", "peak", "l2", "standard"])
def test_normalize_of_an_empty_map_is_empty(mode):
    assert torch.equal(Normalize(mode)(torch.zeros(1, 2, 3, 3)), torch.zeros(1, 2, 3, 3))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Binarize(0.0),
        lambda: Binarize(1.5),
        lambda: Binarize(float("nan")),
        lambda: Truncate(-1.0),
        lambda: Temperature(0.0),
        lambda: Resize(0, 4),
        lambda: Resize(4, 4, "cubic"),
        lambda: Normalize("max"),
        lambda: Normalize("sum", dims=(1,)),
    ],
)
def test_bad_arguments_are_refused(make):
    with pytest.raises(ConfigurationError):
        make()


def test_normalize_does_not_reach_over_the_batch():
    with pytest.raises(BatchError, match="batch dimension"):
        Normalize("sum", dims=(-2, -1))(torch.zeros(4, 5))


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int16, torch.bool, torch.uint8])
@pytest.mark.parametrize("size", [(3, 5), (8, 2), (4, 4)])
def test_class_maps_are_resized_to_the_nearest_and_no_class_is_invented(dtype, size):
    classes = (torch.arange(24).reshape(1, 1, 6, 4) % 7 * 20).to(dtype)
    expected = torch.nn.functional.interpolate(classes.double(), size, mode="nearest-exact").to(dtype)
    assert torch.equal(Resize(*size, mode="nearest")(classes), expected)
    assert torch.equal(Resize(*size, mode="nearest")(classes[:, 0]), expected[:, 0])
    with pytest.raises(BatchError, match="resize it with mode='nearest'"):
        Resize(*size)(classes)


@pytest.mark.parametrize(("value", "shape"), [(0.1, (64, 48)), (3.7, (16, 16)), (17.3, (64, 64))])
def test_a_constant_map_has_no_standard_deviation(value, shape):
    assert not Normalize("standard")(torch.full((2, 3, *shape), value)).any()


@pytest.mark.parametrize("mode", ["l2", "standard"])
def test_half_precision_is_normalized_like_single(mode):
    maps = (torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 400).half()
    normal = Normalize(mode)(maps)
    assert normal.dtype == torch.float16
    assert torch.allclose(normal.float(), Normalize(mode)(maps.float()), atol=2e-3)
