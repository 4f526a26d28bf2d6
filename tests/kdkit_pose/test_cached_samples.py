"""Cached equals live: what a student learns from a teacher's cache is what it learns from the teacher."""

import json

import pytest
import torch

from kdkit import Binarize, CachedTeacher, Distiller, EnsembleTeacher, TargetCache, Teacher, build_cache, losses
from kdkit.cache import BitWindow, CachedDataset, Dense
from kdkit_pose import Augment, MaskAwareTeacher, recipes
from kdkit_pose.cached_samples import cached_teachers, common_views, with_records
from kdkit_pose.codecs import DARK
from kdkit_pose.components import count_components
from kdkit_pose.data import PackedKeypoints, loader, pack
from kdkit_pose.fit import FitSettings, fit
from kdkit_pose.pose_student import pose_student

VIEWS = 2
HALF = 2e-3  # how far losses may be apart: targets are, by 2**-11
SETTINGS = {"batch_size": 4, "cpu": True, "progress": False, "workers": 2, "evaluate_every": 1}


class Interrupted(Exception):
    """Stands for a crash."""


def steady(network):
    """Stands for an evaluation."""
    return {"val/AP": 0.5}


class Fragile:
    """Evaluates once, and then crashes."""

    evaluated = False

    def __call__(self, network):
        if self.evaluated:
            raise Interrupted
        self.evaluated = True
        return steady(network)


@pytest.fixture(scope="module")
def people(tiny_people):
    return tiny_people(augment=Augment(), masks=True)


@pytest.fixture(scope="module")
def senior(small_network):
    network = small_network(2, mask_fusion="concat")
    # A network of random weights gives next to nothing.
    network.final_layer.weight.data.mul_(1000)
    return MaskAwareTeacher("senior", network)


def cached(folder, teacher, data, views=VIEWS, **options):
    options = {"codecs": {"heatmap": Dense("float16")}, **options}
    build_cache(folder, teacher, data, views=views, prepare=data.prepare, batch_size=8, **options)
    return CachedTeacher(teacher.name, TargetCache.open(folder), records=f"{teacher.name}_records")


@pytest.fixture(scope="module")
def from_cache(tmp_path_factory, senior, people):
    return cached(tmp_path_factory.mktemp("caches") / "senior", senior, people)


def distiller(network, teacher) -> Distiller:
    return Distiller(
        pose_student(network), recipes.senior_only(teacher, until=1, binarized="none", loss=losses.mse)
    )


def lines(folder):
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in ("seconds", "stage")} for line in found]


def check_view_by_view(data, teacher, stored, network):
    batches = loader(with_records(data, [stored]), 8, workers=2, shuffle=True, views=VIEWS)
    live, other, seen, rounded = distiller(network(), teacher), distiller(network(), stored), set(), 0
    for epoch in range(VIEWS + 1):
        batches.sampler.set_epoch(epoch)
        for batch in batches:
            ready = batch if data.prepare is None else data.prepare(batch)
            one, two = live(ready), other(ready)
            assert one.parts.keys() == two.parts.keys()
            for name, loss in one.parts.items():
                torch.testing.assert_close(two.parts[name], loss, rtol=HALF, atol=1e-7)
            name = "distill/senior/heatmap"
            rounded += int((one.parts[name] != two.parts[name]).sum())
            seen |= set(batch["view"].tolist())
    assert seen == set(range(VIEWS))
    assert rounded  # a test of nothing, were the teacher live in both


def test_losses_are_the_live_ones_view_by_view_with_two_workers(people, senior, from_cache, small_network):
    check_view_by_view(people, senior, from_cache, small_network)


def test_so_they_are_with_packed_persons(tiny_people, senior, small_network, tmp_path):
    drawn = tiny_people(masks=True)
    folder = pack(drawn, tmp_path / "packed", augment=Augment())
    packed = PackedKeypoints(folder, codec=drawn.codec, augment=Augment())
    check_view_by_view(packed, senior, cached(tmp_path / "cache", senior, packed), small_network)


@pytest.fixture(scope="module")
def run(people, small_network):
    def start(out, teacher, evaluator=steady):
        # Slow enough that steps make no more of the rounding.
        settings = FitSettings(**SETTINGS, learning_rate=1e-5)
        curriculum = recipes.senior_only(teacher, until=VIEWS, binarized="none", loss=losses.mse)
        fit(small_network(9), curriculum, people, out, settings, evaluator=evaluator)
        return lines(out)

    return start


def test_a_run_is_the_live_one_also_after_a_resume(run, senior, from_cache, tmp_path):
    found = run(tmp_path / "cached", from_cache)
    with pytest.raises(Interrupted):
        run(tmp_path / "resumed", from_cache, evaluator=Fragile())
    assert run(tmp_path / "resumed", from_cache) == found
    live = run(tmp_path / "live", senior)
    assert len(live) == len(found) == VIEWS
    for one, other in zip(live, found, strict=True):
        assert other == pytest.approx(one, rel=HALF)
        assert other != one


class Doubtful(Teacher):
    """Says the truth, and of every second person that each keypoint may be elsewhere, too."""

    name, reads, outputs = "doubtful", ("heatmap", "id"), ("heatmap",)

    def targets(self, batch):
        heatmap = batch["heatmap"]
        elsewhere = heatmap.roll((14, 14), (2, 3)) * (batch["id"] % 2).view(-1, 1, 1, 1)
        return {"heatmap": torch.maximum(heatmap, elsewhere)}

    def fingerprint(self):
        return "doubtful"


def test_binarized_targets_are_identical_where_a_map_has_one_component(tiny_people, tmp_path):
    data, teacher, flat = tiny_people(codec=DARK((128, 128))), Doubtful(), Binarize(0.5)
    how = {"codecs": {"heatmap": BitWindow(11)}, "transforms": {"heatmap": flat}}
    stored = cached(tmp_path, teacher, data, views=1, **how)
    one = several = 0
    for batch in loader(with_records(data, [stored]), 8):
        true, found = flat(teacher.targets(batch)["heatmap"]), stored.targets(batch)["heatmap"]
        same, counts = (true == found).flatten(2).all(2), count_components(true)
        assert same[counts <= 1].all()
        # An objective binarizes what is binarized.
        assert torch.equal(flat(found), found)
        one, several = one + int((counts == 1).sum()), several + int((counts > 1).sum())
    assert one > 50
    inexact, maps = stored.cache.inexact["heatmap"]
    assert 0 < inexact <= several < maps


def test_what_a_run_needs_of_cached_teachers(people, senior, from_cache, tmp_path, tiny_teacher):
    fewer = cached(tmp_path, tiny_teacher("primary"), people, views=1)
    both = EnsembleTeacher("both", [from_cache, senior])
    assert cached_teachers([both, senior, fewer, from_cache]) == (from_cache, fewer)
    assert common_views([from_cache, fewer]) == 1
    assert common_views([]) is None
    looks_up = CachedTeacher("senior", from_cache.cache)
    assert with_records(people, [looks_up]) is people
    samples = with_records(people, [from_cache, fewer])
    assert isinstance(samples, CachedDataset)
    keys = [(2, 0), (0, 0), (1, 0)]
    whole = next(iter(loader(samples, len(people))))
    assert {"senior_records", "primary_records"} <= whole.keys()
    for one, read in zip((samples[key] for key in keys), samples.__getitems__(keys), strict=True):
        assert one.keys() == read.keys()
        assert all(torch.equal(one[name], read[name]) for name in one)
