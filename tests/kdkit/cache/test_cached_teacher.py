import json
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from kdkit import (
    BatchError,
    Binarize,
    CachedTeacher,
    CacheError,
    ConfigurationError,
    Curriculum,
    Distill,
    Distiller,
    EnsembleTeacher,
    Epochs,
    ModuleTeacher,
    RunFolderError,
    Stage,
    Student,
    Supervise,
    TargetCache,
    Teacher,
    Temperature,
    Trainer,
    TransformedTeacher,
    losses,
)
from kdkit.cache import BitWindow, CachedDataset
from kdkit.sampling import ViewSampler

from ..training.interruption import Fragile, Interrupted
from .builds import SAMPLES, VIEWS, Views, bits, build, teacher

HALF = 2e-3  # how far losses may be apart: targets are, by 2**-11


def loader(data=None, workers: int = 0, views: int | None = VIEWS) -> DataLoader:
    sampler = ViewSampler(SAMPLES, seed=3, views=views)
    return DataLoader(data or Views(), batch_size=4, sampler=sampler, num_workers=workers)


def batches(data=None, workers: int = 0) -> list[dict[str, torch.Tensor]]:
    """Every view of every sample, shuffled."""
    found, source = [], loader(data, workers)
    for epoch in range(VIEWS):
        source.sampler.set_epoch(epoch)
        found += list(source)
    return found


def distiller(of: Teacher, epochs: int = 4, **options) -> Distiller:
    torch.manual_seed(5)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 5, 1))
    objectives = [Supervise("heatmap", losses.mse, weight=0.5), Distill(of, "heatmap", losses.mse, **options)]
    stage = Stage("only", objectives, until=Epochs(epochs))
    return Distiller(Student(network, inputs="image", outputs="heatmap"), Curriculum(stage))


def trainer(of: Teacher, out: Path, source) -> Trainer:
    torch.manual_seed(7)
    adam = partial(torch.optim.Adam, lr=1e-2)
    return Trainer(distiller(of), source, optimizer=adam, out=out, cpu=True, progress=False, checkpoint_steps=1)


def lines(folder: Path) -> list[dict[str, float]]:
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in ("seconds", "stage")} for line in found]


def test_it_is_a_teacher(cache):
    cached = CachedTeacher("large", cache)
    assert (cached.name, cached.reads, cached.outputs) == ("large", ("id", "view"), ("heatmap",))
    assert cached.members == (cached,)
    assert list(cached.parameters()) == []
    assert cached.to(torch.device("cpu")) is cached
    assert repr(cached) == f"CachedTeacher('large', {cache!r})"
    assert str(cache.path) not in repr(cached)


def test_targets_are_the_live_ones_view_by_view(cache):
    live, cached = teacher(), CachedTeacher("large", cache)
    for batch in batches():
        given = cached.targets({"id": batch["id"], "view": batch["view"]})["heatmap"]
        expected = live.targets(batch)["heatmap"]
        torch.testing.assert_close(given, expected, rtol=2**-10, atol=1e-7)
        assert not given.requires_grad


def test_losses_are_the_live_ones_view_by_view_with_two_workers(cache):
    live, cached = distiller(teacher()), distiller(CachedTeacher("large", cache))
    for batch in batches(workers=2):
        one, other = live(batch), cached(batch)
        assert one.parts.keys() == other.parts.keys()
        for name in one.parts:
            torch.testing.assert_close(one.parts[name], other.parts[name], rtol=HALF, atol=1e-6)


@pytest.mark.parametrize("field", [None, "records"])
def test_a_run_is_the_live_one_with_two_workers_and_after_a_resume(cache, tmp_path, field):
    """Four epochs of three views: the first view comes twice."""
    cached = CachedTeacher("large", cache, records=field)
    data = CachedDataset(Views(), cache) if field else Views()
    trainer(teacher(), tmp_path / "live", loader(workers=2)).fit()
    trainer(cached, tmp_path / "cached", loader(data, workers=2)).fit()
    with pytest.raises(Interrupted):
        trainer(cached, tmp_path / "resumed", Fragile(loader(data, workers=2), 7)).fit()
    trainer(cached, tmp_path / "resumed", loader(data, workers=2)).fit()
    assert lines(tmp_path / "resumed") == lines(tmp_path / "cached")
    for live, other in zip(lines(tmp_path / "live"), lines(tmp_path / "cached"), strict=True):
        assert live.keys() == other.keys()
        assert live == pytest.approx(other, rel=2 * HALF)
        assert live != other  # a test of nothing, were the teacher live here, too


def test_binarized_losses_are_the_live_ones_to_the_bit(tmp_path):
    build(tmp_path, **{**bits(), "codecs": {"heatmap": BitWindow(8)}})
    cached = TargetCache.open(tmp_path)
    assert cached.inexact["heatmap"][0] == 0
    live = distiller(teacher(), transform=Binarize(0.5))
    fitting = distiller(CachedTeacher("large", cached))
    for batch in batches():
        assert live(batch).total == fitting(batch).total


def test_binarized_targets_are_identical_where_they_fit(tmp_path):
    build(tmp_path, **bits())
    cached, live, codec = CachedTeacher("large", TargetCache.open(tmp_path)), teacher(), BitWindow(4)
    kept = 0
    for batch in batches():
        true = Binarize(0.5)(live.targets(batch)["heatmap"])
        same = (cached.targets(batch)["heatmap"] == true).flatten(2).all(2)
        assert torch.equal(same, ~codec.inexact(true))
        kept += int(same.sum())
    assert 0 < kept < SAMPLES * VIEWS * 5


def test_works_within_other_teachers(cache):
    cached, live, batch = CachedTeacher("large", cache), teacher(), batches()[0]
    both = EnsembleTeacher("both", [cached, teacher(2)])
    expected = (cached.targets(batch)["heatmap"] + teacher(2).targets(batch)["heatmap"]) / 2
    torch.testing.assert_close(both.targets(batch)["heatmap"], expected)
    assert set(both.reads) == {"id", "view", "image"}
    cooler = TransformedTeacher(cached, outputs={"heatmap": Temperature(2.0)})
    expected = live.targets(batch)["heatmap"] / 2
    torch.testing.assert_close(cooler.targets(batch)["heatmap"], expected, rtol=2**-10, atol=1e-7)
    distiller(both).check(batch)


def test_reads_records_that_came_with_the_batch(cache):
    by_key, by_record = CachedTeacher("large", cache), CachedTeacher("large", cache, records="stored")
    assert by_record.reads == ("stored",)
    for batch in batches(CachedDataset(Views(), cache, "stored"), workers=2)[:4]:
        assert batch["stored"].dtype == torch.uint8
        given = by_record.targets({"stored": batch["stored"]})["heatmap"]
        assert torch.equal(given, by_key.targets(batch)["heatmap"])
        with pytest.raises(
            BatchError, match=r"reads records uint8 \[B, 484\] in the field 'stored'.*CachedDataset"
        ):
            by_record.targets({"stored": batch["stored"][:, 1:]})
    assert len(CachedDataset(Views(), cache)) == SAMPLES


def test_what_a_batch_lacks_is_named(cache):
    cached, batch = CachedTeacher("large", cache), batches()[0]
    with pytest.raises(BatchError, match="teacher 'large' reads the field 'view', which the batch lacks"):
        cached.targets({"id": batch["id"]})
    with pytest.raises(CacheError, match=r"view 3: it has the views 0 to 2.*let the loader repeat.*views=3"):
        cached.targets({**batch, "view": batch["view"] + 3})
    with pytest.raises(CacheError, match="no target for the id 4, view 0"):
        cached.targets({**batch, "id": torch.full_like(batch["id"], 4)})


def test_only_a_cache_is_taken(folder):
    with pytest.raises(ConfigurationError, match=r"a str is no TargetCache; open one by TargetCache.open"):
        CachedTeacher("large", str(folder))


def test_caches_of_other_things_are_other_teachers(cache, folder, tmp_path):
    def fingerprint(name: str, **options: object) -> str:
        build(tmp_path / name, **options)
        return CachedTeacher(name, TargetCache.open(tmp_path / name)).fingerprint()

    same = fingerprint("same", shard_records=10, batch_size=5)
    assert CachedTeacher("large", cache).fingerprint() == same
    others = [
        fingerprint("teacher", teacher=teacher(2)),
        fingerprint("views", views=2),
        fingerprint("bits", **bits()),
    ]
    assert len({same, *others}) == 4


def test_a_run_is_not_gone_on_with_under_another_cache(cache, tmp_path):
    with pytest.raises(Interrupted):
        trainer(CachedTeacher("large", cache), tmp_path / "run", Fragile(loader(), 7)).fit()
    build(tmp_path / "other", teacher=teacher(2))
    other = CachedTeacher("large", TargetCache.open(tmp_path / "other"))
    with pytest.raises(RunFolderError, match=r"teacher_weights\.large"):
        trainer(other, tmp_path / "run", loader()).fit()


def test_the_teachers_convention_is_kept(tmp_path):
    network = nn.Conv2d(3, 5, 1)
    network.convention = {"codec": "DARK"}
    build(tmp_path, teacher=ModuleTeacher("large", network, "image", "heatmap"))
    cached = CachedTeacher("large", TargetCache.open(tmp_path))
    assert cached.convention == {"codec": "DARK"}
    data = Views()
    data.convention = {"codec": "UDP"}
    with pytest.raises(ConfigurationError, match="teacher 'large' and the training data's targets"):
        trainer(cached, tmp_path / "run", loader(data))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("field", [None, "records"])
def test_targets_are_on_the_batchs_device(cache, field):
    cached = CachedTeacher("large", cache, records=field)
    for batch in batches(CachedDataset(Views(), cache))[:3]:
        moved = {name: value.cuda() for name, value in batch.items()}
        given = cached.targets(moved)["heatmap"]
        assert given.is_cuda
        assert torch.equal(given.cpu(), cached.targets(batch)["heatmap"])
