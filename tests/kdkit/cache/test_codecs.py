import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from kdkit import ConfigurationError, losses
from kdkit.cache import BitWindow, Dense, TopK, Window, codec_from

SHAPE = (17, 64, 48)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def gaussians(batch: int = 2, shape=SHAPE, seed: int = 0, sigma: float = 2.0) -> torch.Tensor:
    """One peak a map, at a whole cell, at the border too."""
    channels, height, width = shape
    places = random(batch, channels, 2, seed=seed)
    rows, columns = (places[..., 0] * height).long(), (places[..., 1] * width).long()
    rows[0, 0], columns[0, 0] = 0, width - 1
    down = (torch.arange(height) - rows[..., None]).square()[..., :, None]
    across = (torch.arange(width) - columns[..., None]).square()[..., None, :]
    return torch.exp(-(down + across) / (2 * sigma**2))


def round_trip(codec, target: torch.Tensor) -> torch.Tensor:
    shape = tuple(target.shape[1:])
    records = codec.encode(target)
    assert records.dtype == torch.uint8
    assert records.shape == (len(target), codec.record_bytes(shape))
    decoded = codec.decode(records, shape)
    assert decoded.dtype == torch.float32
    assert decoded.shape == target.shape
    assert decoded.is_contiguous()
    # Records lie behind one another, and begin at any byte.
    shifted = torch.cat([records.new_zeros(len(records), 1), records, records.new_ones(len(records), 4)], 1)
    assert torch.equal(codec.decode(shifted[:, 1:-4], shape), decoded)
    return decoded


CODECS = [Dense("float32"), Dense("float16"), Dense("uint8"), Window(11), Window(5, "float16"), BitWindow(7)]


@pytest.mark.parametrize("codec", [*CODECS, TopK(3)], ids=repr)
def test_a_codec_is_told_by_its_description(codec):
    assert codec_from(json.loads(json.dumps(codec.describe()))) == codec
    namespace = {kind.__name__: kind for kind in (Dense, Window, BitWindow, TopK)}
    assert eval(repr(codec), namespace) == codec


@pytest.mark.parametrize("codec", [*CODECS, TopK(3)], ids=repr)
def test_samples_are_coded_one_by_one_as_together(codec):
    target = (gaussians(3, (5, 9, 12)) > 0.5).float()
    together = codec.encode(target)
    assert torch.equal(together, torch.cat([codec.encode(one) for one in target.split(1)]))
    assert torch.equal(codec.decode(together[1:2], (5, 9, 12)), codec.decode(together, (5, 9, 12))[1:2])
    assert codec.encode(target[:0]).shape == (0, together.shape[1])
    assert codec.decode(together[:0], (5, 9, 12)).shape == (0, 5, 9, 12)


@pytest.mark.parametrize("shape", [(4,), (3, 5), (2, 3, 4), (2, 3, 2, 2)])
def test_dense_keeps_targets_of_any_shape(shape):
    target = random(6, *shape) * 20 - 10
    assert torch.equal(round_trip(Dense("float32"), target), target)
    assert torch.equal(round_trip(Dense("float16"), target), target.half().float())
    span = (10 if len(shape) > 1 else 20) / 255  # at most half a step of 20
    assert (round_trip(Dense("uint8"), target) - target).abs().max() <= span
    for dtype in ("float32", "float16", "uint8"):
        assert not Dense(dtype).inexact(target).any()


def test_dense_uint8_fits_each_channel():
    target = torch.tensor([[[0.0, 1.0, 0.5], [1000.0, 3000.0, 2000.0], [7.0, 7.0, 7.0]]])
    decoded = round_trip(Dense("uint8"), target)
    assert torch.equal(decoded[0, :, :2], target[0, :, :2])
    assert torch.equal(decoded[0, 2], target[0, 2])
    assert abs(decoded[0, 0, 2] - 0.5) <= 0.5 / 255 + 1e-6


def test_dense_tells_what_half_precision_cannot_hold():
    target = torch.tensor([[[1.0, 2.0], [1.0, 1e6]]])
    assert Dense("float16").inexact(target).tolist() == [[False, True]]
    assert round_trip(Dense("float16"), target).max() == 65504


def test_window_keeps_one_peak_and_tells_where_there_is_more():
    target = gaussians()
    for codec, error in ((Window(21, "uint8"), 0.5 / 255), (Window(21, "float16"), 2**-11)):
        decoded = round_trip(codec, target)
        inside = decoded > 0
        assert (decoded - target)[inside].abs().max() <= error * 1.01
        assert target[~inside].max() <= error * 1.01
        assert torch.equal(decoded.flatten(2).argmax(2), target.flatten(2).argmax(2))
    assert not Window(21, "uint8").inexact(target).any()
    assert Window(3, "uint8").inexact(target).all()
    two = target.clone()
    two[1, 3] = torch.maximum(two[1, 3], 0.5 * two[1, 3].roll((20, 20), (0, 1)))
    assert Window(21, "uint8").inexact(two).nonzero().tolist() == [[1, 3]]


def test_window_keeps_what_is_below_zero_and_small_maps():
    target = random(2, 3, 4, 5) - 0.5
    assert (round_trip(Window(11), target) - target).abs().max() <= 0.51 / 255
    assert torch.equal(round_trip(Window(11, "float16"), target), target.half().float())


def test_bit_window_takes_the_bytes_it_says():
    assert BitWindow(11).record_bytes(SHAPE) + 4 <= 330
    round_trip(BitWindow(11), (gaussians() > 0.5).float())
    assert BitWindow(11).record_bytes((1, 400, 400)) == 4 + 16


def test_bit_window_is_exact_for_one_component_anywhere():
    for seed in range(5):
        target = (gaussians(4, seed=seed, sigma=3.0) >= 0.3).float()
        assert torch.equal(round_trip(BitWindow(11), target), target)
        assert not BitWindow(11).inexact(target).any()


@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 8), st.integers(0, 2**20), st.floats(0.02, 0.6))
def test_bit_window_is_exact_where_the_cells_fit_and_else_tells(height, width, size, seed, density):
    target = (random(3, 2, height, width, seed=seed) < density).float()
    decoded = round_trip(BitWindow(size), target)
    assert torch.equal(BitWindow(size).inexact(target), (decoded != target).flatten(2).any(2))
    assert (decoded <= target).all()
    for one, back in zip(target.flatten(0, 1), decoded.flatten(0, 1), strict=True):
        cells = one.nonzero()
        extent = (cells.amax(0) - cells.amin(0) + 1).max() if len(cells) else 0
        assert torch.equal(one, back) == bool(extent <= size or torch.equal(one, back))
        if extent <= size:
            assert torch.equal(one, back)


def test_bit_window_is_centred_on_the_cells():
    target = torch.zeros(1, 1, 30, 30)
    target[0, 0, 10:13, 20:22] = 1
    corner = BitWindow(7).encode(target)[0, :2].view(torch.int16).item()
    assert divmod(corner, 30) == (8, 18)  # 2 above and 2 below, 2 left and 3 right


def test_bit_window_holds_the_densest_component_whole():
    target = torch.zeros(1, 3, 40, 40)
    target[0, 0, 2:7, 2:7] = 1
    target[0, 0, 9:11, 9:11] = 1  # so near that a window could hold a part of each
    target[0, 1, 30:33, 30:33] = 1
    target[0, 1, 0, 0] = 1
    target[0, 2, 5:25, 5:25] = 1  # larger than the window
    decoded = round_trip(BitWindow(5), target)
    expected = torch.zeros(40, 40)
    expected[2:7, 2:7] = 1
    assert torch.equal(decoded[0, 0], expected)
    assert torch.equal(decoded[0, 1], target[0, 1] * (torch.arange(40) > 5))
    assert decoded[0, 2].sum() == 25
    assert BitWindow(5).inexact(target).all()


def test_bit_window_follows_a_component_around_corners():
    target = torch.zeros(1, 1, 20, 20)
    target[0, 0, [3, 4, 5, 6, 7], [3, 4, 5, 4, 3]] = 1  # cells that touch at corners
    target = torch.cat([target, torch.zeros_like(target)], 1)
    target[0, 1, 3:8, 3] = target[0, 1, 7, 3:8] = 1  # no cell of it sees all others in a window around it
    apart = target.clone()
    apart[0, :, 15, 15] = 1
    assert torch.equal(round_trip(BitWindow(5), apart), target)


def test_bit_window_refuses_what_is_not_binary():
    with pytest.raises(ConfigurationError, match=r"zeros and ones.*Binarize\(0.5\)"):
        BitWindow(5).encode(torch.full((1, 2, 8, 8), 0.5))
    with pytest.raises(ConfigurationError, match="zeros and ones"):
        BitWindow(5).encode(torch.full((1, 2, 8, 8), torch.nan))


@pytest.mark.parametrize("shape", [(50,), (50, 4, 3), (400, 2, 2)])
def test_top_k_keeps_the_largest_and_spreads_the_rest(shape):
    logits = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0)) * 4
    decoded = round_trip(TopK(5), logits)
    true = logits.softmax(1)
    kept, classes = true.topk(5, 1)
    assert torch.equal(decoded.topk(5, 1).indices.sort(1).values, classes.sort(1).values)
    probabilities = decoded.exp()
    torch.testing.assert_close(probabilities.gather(1, classes), kept, rtol=4e-3, atol=1e-5)
    torch.testing.assert_close(probabilities.sum(1), torch.ones_like(probabilities.sum(1)), rtol=2e-3, atol=0)
    others = torch.ones_like(true, dtype=torch.bool).scatter(1, classes, False)
    rest = probabilities.masked_fill(~others, 0).sum(1)
    torch.testing.assert_close(rest, true.masked_fill(~others, 0).sum(1), rtol=4e-3, atol=1e-5)
    spread = probabilities.masked_fill(~others, torch.nan)
    assert (spread.nan_to_num(nan=0).amax(1) - spread.nan_to_num(nan=1).amin(1)).abs().max() < 1e-7
    assert TopK(5).inexact(logits).all()


def test_top_k_of_all_classes_gives_the_same_loss():
    logits = torch.randn(4, 6, 3, 2, generator=torch.Generator().manual_seed(0)) * 3
    student = torch.randn(4, 6, 3, 2, generator=torch.Generator().manual_seed(1))
    cached = round_trip(TopK(6), logits)
    assert not TopK(6).inexact(logits).any()
    torch.testing.assert_close(
        losses.channel_kl(student, cached), losses.channel_kl(student, logits), rtol=2e-3, atol=2e-3
    )
    torch.testing.assert_close(F.softmax(cached, 1), F.softmax(logits, 1), rtol=4e-3, atol=1e-4)


def test_top_k_of_a_sure_teacher_is_finite():
    logits = torch.tensor([[1e6, 0.0, -1e6, 0.0]])
    decoded = round_trip(TopK(2), logits)
    assert decoded.isfinite().all()
    torch.testing.assert_close(decoded.softmax(1), torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
    assert losses.channel_kl(torch.zeros(1, 4), decoded).isfinite().all()


@pytest.mark.parametrize("codec", [*CODECS, TopK(3)], ids=repr)
def test_damaged_records_decode_to_something_and_never_lead_out_of_the_target(codec):
    records = torch.full((2, codec.record_bytes((5, 9, 12))), 0xFF, dtype=torch.uint8)
    assert codec.decode(records, (5, 9, 12)).shape == (2, 5, 9, 12)
    records[:] = 0x7F
    assert codec.decode(records, (5, 9, 12)).shape == (2, 5, 9, 12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dense("float8"), "Dense: dtype is 'float8'"),
        (lambda: Window(0), "Window: size is 0"),
        (lambda: Window(5, "int4"), "Window: dtype is 'int4'"),
        (lambda: BitWindow(2.5), "BitWindow: size is 2.5"),
        (lambda: TopK(True), "TopK: k is True"),
        (lambda: BitWindow(5).record_bytes((17,)), r"maps \[C, h, w\], the target's shape is \[17\]"),
        (lambda: Window(5).record_bytes((1, 2, 3, 4)), r"Window is for maps"),
        (lambda: TopK(5).record_bytes((4, 8, 8)), "5 classes or more"),
        (lambda: codec_from({"name": "Zip"}), "no codec 'Zip'"),
        (lambda: codec_from({"name": ["Dense"]}), "no codec"),
        (lambda: codec_from({"name": "Dense", "level": 3}), r"has not the settings \['level'\]"),
        (lambda: replace(BitWindow(5), size=-1), "size is -1"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()
