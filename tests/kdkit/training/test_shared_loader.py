import pytest
import torch
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, DistributedSampler, IterableDataset

from kdkit import ConfigurationError, Curriculum, Distiller, Epochs, Stage, Student, Supervise, losses
from kdkit.processes import Processes
from kdkit.training.engine import leaves_out
from kdkit.training.shared_loader import is_even, share_loader


def test_shares_are_disjoint_and_whole():
    for count in (1, 2, 3, 7):
        for size in (7, 8, 20):
            parts = [range(size)[Processes(rank, count).share(size)] for rank in range(count)]
            assert [index for part in parts for index in part] == list(range(size))
            assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_batch_too_small_to_share_is_refused_before_anything_is_read():
    with pytest.raises(
        ConfigurationError, match=r"batch of 1 samples cannot be shared among 2 processes.*drop_last"
    ):
        share_loader(_loader(9, 4), Processes(0, 2))
    share_loader(_loader(9, 4, drop_last=True), Processes(0, 2))


def test_a_loader_that_is_shared_by_its_sampler_is_refused():
    data = list(range(8))
    sampler = DistributedSampler(data, 2, 0)
    for loader in (
        DataLoader(data, 4, sampler=sampler),
        DataLoader(data, batch_sampler=BatchSampler(sampler, 4, drop_last=False)),
    ):
        with pytest.raises(ConfigurationError, match=r"has a DistributedSampler.*leave the sampler out"):
            share_loader(loader, Processes(0, 2))


class _CountedStream(IterableDataset):
    def __iter__(self):
        return iter(range(8))

    def __len__(self):
        return 8


def test_a_stream_that_is_evaluated_is_parted_batch_by_batch():
    loader = DataLoader(_CountedStream(), batch_size=4)
    assert [[batch.tolist() for batch in Processes(rank, 2).part_of(loader)] for rank in range(2)] == [
        [[0, 1, 2, 3]],
        [[4, 5, 6, 7]],
    ]


def test_it_is_known_whether_shares_are_even():
    two = Processes(0, 2)
    assert is_even(_loader(8, 4), two)
    assert not is_even(_loader(11, 4), two)
    assert is_even(_loader(11, 4, drop_last=True), two)
    assert not is_even(_loader(10, 5), two)
    assert is_even(_loader(11, 5), Processes())
    assert not is_even([{"image": None}], two)


class _Stream(IterableDataset):
    def __iter__(self):
        return iter(range(8))


def test_a_stream_is_read_whole_and_shared():
    loader = DataLoader(_Stream(), batch_size=4, collate_fn=lambda items: {"id": torch.tensor(items)})
    parts = [[batch["id"].tolist() for batch in share_loader(loader, Processes(rank, 2))] for rank in range(2)]
    assert parts == [[[0, 1], [4, 5]], [[2, 3], [6, 7]]]


def test_a_loader_of_own_shares_is_left_alone():
    class Own(list):
        shared = True

    own = Own([{"id": torch.tensor([1])}])
    assert share_loader(own, Processes(1, 2)) is own


def test_evaluation_batches_are_parted_without_an_overlap():
    loader = _loader(23, 4)
    parts = [list(Processes(rank, 4).part_of(loader)) for rank in range(4)]
    assert [number for part in parts for batch in part for number in batch.tolist()] == list(range(23))
    assert Processes(1, 2).part_of(iter([1, 2])) is None
    assert list(Processes(1, 2).part_of([1, 2, 3])) == [2, 3]


def test_what_may_have_no_gradient_is_known(distiller):
    assert not leaves_out(distiller())
    assert leaves_out(distiller(freeze=("0",)))
    assert leaves_out(distiller(weight=0.0))


def _loader(samples: int, batch: int, **options):
    return DataLoader(range(samples), batch_size=batch, **options)


@pytest.fixture
def distiller():
    def make(freeze=(), weight=1.0):
        objectives = [
            Supervise("heatmap", losses.mse),
            Supervise("other", losses.mse, weight=weight, target="heatmap"),
        ]
        network = _Two()
        student = Student(network, outputs=("heatmap", "other"))
        return Distiller(student, Curriculum(Stage("only", objectives, until=Epochs(1), freeze=freeze)))

    return make


class _Two(nn.ModuleDict):
    def __init__(self):
        super().__init__({"0": nn.Conv2d(3, 5, 1), "1": nn.Conv2d(3, 5, 1)})

    def forward(self, image):
        return self["0"](image), self["1"](image)
