"""Batches from shards are the same whoever reads them, and wherever a run goes on."""

import pickle

import pytest
import torch

from kdkit.errors import ConfigurationError, DataError
from kdkit.processes import Processes
from kdkit.streaming import Shards, StreamLoader


def batches(loader):
    return [{name: value.clone() for name, value in batch.items()} for batch in loader]


def same(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture
def make(make_shards, noisy):
    folder = make_shards()

    def loader(batch_size=8, **options):
        return StreamLoader(Shards(folder), noisy, batch_size, **{"seed": 3, "buffer": 16, **options})

    return loader


def test_batches_do_not_depend_on_workers(make):
    expected = make()
    expected.set_epoch(4)
    found = batches(expected)
    assert len(found) == len(expected) == 6
    for workers in (1, 2):
        loader = make(workers=workers)
        loader.set_epoch(4)
        same(batches(loader), found)


def test_two_processes_have_the_halves_of_one_ones_batches(make):
    whole = batches(make())
    parts = [batches(make(processes=Processes(rank, 2), workers=2 * rank)) for rank in range(2)]
    same([{name: torch.cat([a[name], b[name]]) for name in a} for a, b in zip(*parts, strict=True)], whole)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("done", [1, 3, 6])
def test_a_resumed_epoch_reads_the_very_same_batches(make, workers, count, done):
    for rank in range(count):
        options = {"workers": workers, "processes": Processes(rank, count)}
        whole, resumed = make(**options), make(**options)
        for loader in (whole, resumed):
            loader.set_epoch(2)
        resumed.skip(done)
        same(batches(resumed), batches(whole)[done:])
        # The next epoch is whole again.
        for loader in (whole, resumed):
            loader.set_epoch(3)
        same(batches(resumed), batches(whole))


def test_shards_that_are_skipped_are_not_opened(make_shards, noisy):
    folder, opened = make_shards(), []

    def open_shard(name):
        opened.append(name)
        return (folder / name).open("rb")

    loader = StreamLoader(Shards(folder, open_shard=open_shard), noisy, 8, buffer=16, lanes=1)
    batches(loader)
    assert len(opened) == len(set(opened)) > 6
    whole = opened.copy()
    opened.clear()
    loader.skip(4)
    batches(loader)
    # Two blocks of 16 samples lie before.
    assert opened == whole[-len(opened) :]
    assert len(opened) <= len(whole) - 3


def test_the_view_is_the_epoch_or_goes_round(make):
    loader = make()
    loader.set_epoch(5)
    batch = next(iter(loader))
    assert (batch["view"] == 5).all()
    loader = make(views=2)
    loader.set_epoch(5)
    batch = next(iter(loader))
    assert (batch["view"] == 1).all()
    one = {int(id): image for id, image in zip(batch["id"], batch["image"], strict=True)}
    loader = make(views=2, seed=9)
    loader.set_epoch(3)
    other = {
        int(id): image
        for batch in loader
        for id, image in zip(batch["id"], batch["image"], strict=True)
        if int(id) in one
    }
    # Another order, the same samples.
    assert other
    assert all(torch.equal(image, one[id]) for id, image in other.items())


def test_nothing_is_drawn_from_the_global_generator(make):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    batches(make(workers=2))
    assert torch.equal(torch.get_rng_state(), before)


def test_what_cannot_be_shared_is_refused(make):
    with pytest.raises(ConfigurationError, match="8 lanes cannot be shared evenly by 3 processes"):
        make(processes=Processes(0, 3))
    with pytest.raises(ConfigurationError, match="multiple of lanes"):
        make(lanes=3)
    with pytest.raises(ConfigurationError, match="0 or more workers"):
        make(workers=-1)
    with pytest.raises(ConfigurationError, match="cannot skip 7 batches of an epoch of 6"):
        make().skip(7)


def test_an_error_in_a_worker_names_the_shard(make_shards, noisy):
    folder = make_shards()
    shards = Shards(folder)
    path = folder / "shard-00002.tar"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"shard-00002\.tar"):
        batches(StreamLoader(shards, noisy, 8, workers=2))


def test_a_data_set_that_leaves_out_samples_is_refused(make_shards):
    class Lossy:
        def __getitems__(self, indices):
            return [{"id": torch.tensor(sample.id)} for sample, _ in indices[1:]]

    with pytest.raises(DataError, match="made 7 samples of 8"):
        batches(StreamLoader(Shards(make_shards()), Lossy(), 8))


def test_shards_travel_to_workers_that_are_started_afresh(make_shards):
    shards = Shards(make_shards())
    again = pickle.loads(pickle.dumps(shards))
    assert [sample.key for sample in again.read(1)] == [sample.key for sample in shards.read(1)]
