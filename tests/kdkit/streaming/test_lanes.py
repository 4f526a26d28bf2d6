"""Which samples come in which batch, without any file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdkit.errors import ConfigurationError
from kdkit.streaming.lanes import Lanes

COUNTS = st.lists(st.integers(1, 20), min_size=1, max_size=8)


def row(lanes, epoch, lane, skip=0):
    return list(
        lanes.samples(lambda shard, start, stop: iter([(shard, i) for i in range(start, stop)]), epoch, lane, skip)
    )


@given(COUNTS, st.integers(1, 4), st.integers(1, 3), st.booleans(), st.integers(0, 30), st.integers(0, 5))
def test_an_epoch_has_each_sample_once_but_for_less_than_a_batch(counts, lanes, share, shuffle, buffer, epoch):
    size = lanes * share
    if sum(counts) < size:
        return
    made = Lanes(tuple(counts), size, lanes, seed=3, shuffle=shuffle, buffer=buffer)
    rows = [row(made, epoch, lane) for lane in range(lanes)]
    assert {len(one) for one in rows} == {made.batches * share}
    seen = [sample for one in rows for sample in one]
    assert len(set(seen)) == len(seen) > sum(counts) - size
    assert all(0 <= place < counts[shard] for shard, place in seen)


@given(COUNTS, st.integers(1, 3), st.integers(0, 30), st.data())
def test_a_lane_entered_in_the_middle_goes_on_as_if_read_whole(counts, lanes, buffer, data):
    if sum(counts) < lanes:
        return
    made = Lanes(tuple(counts), lanes, lanes, seed=1, buffer=buffer)
    whole = row(made, 2, 0)
    skip = data.draw(st.integers(0, len(whole)))
    assert row(made, 2, 0, skip) == whole[skip:]


def test_shards_before_are_not_asked_for():
    made = Lanes((10,) * 10, 4, 2, seed=0, buffer=8)
    asked = []

    def read(shard, start, stop):
        asked.append(shard)
        return iter(range(start, stop))

    list(made.samples(read, 1, 1, skip=38))
    # Of the lane's five shards the last two: the block in which it begins lies in the first of them.
    assert asked == made.shard_order(1)[8:]


def test_epochs_and_seeds_differ_and_without_shuffling_nothing_does():
    counts = (5,) * 12
    rows = {
        (seed, epoch): row(Lanes(counts, 4, 2, seed=seed), epoch, 0) for seed in range(2) for epoch in range(3)
    }
    assert len({tuple(one) for one in rows.values()}) == 6
    orders = {tuple(Lanes(counts, 4, 2, seed=seed).shard_order(epoch)) for seed, epoch in rows}
    assert len(orders) == 6
    assert {tuple(sorted(order)) for order in orders} == {tuple(range(12))}
    still = Lanes(counts, 4, 2, shuffle=False)
    assert row(still, 0, 0) == row(still, 7, 0) == [(shard, i) for shard in range(6) for i in range(5)]


def test_the_buffer_mixes_within_blocks_and_no_further():
    counts, size = (64,), 32
    plain, mixed = (row(Lanes(counts, 32, 1, buffer=buffer), 0, 0) for buffer in (0, size))
    assert mixed != plain
    for begin in (0, size):
        assert sorted(mixed[begin : begin + size]) == plain[begin : begin + size]


@pytest.mark.parametrize(
    "numbers", [(8, 3, 0), (0, 1, 0), (8, 0, 0), (8, 4, -1), (100, 1, 0)], ids=lambda numbers: str(numbers)
)
def test_what_does_not_fit(numbers):
    size, lanes, buffer = numbers
    with pytest.raises(ConfigurationError):
        Lanes((9, 9), size, lanes, buffer=buffer)
