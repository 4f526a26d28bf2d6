from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
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
    Epochs,
    Identity,
    ModuleTeacher,
    Stage,
    Student,
    TargetCache,
    TransformedTeacher,
    losses,
)
from kdkit.cache import (
    CANONICAL,
    BitWindow,
    CachedDataset,
    CanonicalTeacher,
    Dense,
    TopK,
    Window,
    cache_fingerprint,
    keep_width,
    warp_maps,
)
from kdkit.sampling import ViewSampler

from .builds import SAMPLES, Views, build, teacher

SWAPPED = (0, 2, 1, 4, 3)
NONE = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


class Plain(Views):
    """The same picture whatever the view."""

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        return {**super().__getitem__((key[0], 0)), "view": torch.tensor(key[1])}


class Varied(Plain):
    """Says of each view where it lies; the picture plays no part."""

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        draw = torch.Generator().manual_seed(100 * key[0] + key[1])
        warp = NONE + 0.2 * torch.randn(2, 3, generator=draw)
        return {**super().__getitem__(key), "warp": warp, "mirrored": torch.tensor(sum(key) % 2 == 0)}


def build_canonical(folder: Path, dataset: Views | None = None, **options: object) -> TargetCache:
    build(folder, dataset or Plain(), **{"views": 1, "fingerprint": CANONICAL, **options})
    return TargetCache.open(folder)


@pytest.fixture
def canonical(tmp_path) -> TargetCache:
    return build_canonical(tmp_path / "canonical")


def batches(data=None, workers: int = 0, epochs: int = 3) -> list[dict[str, Tensor]]:
    found, source = [], DataLoader(data or Varied(), 4, sampler=ViewSampler(SAMPLES, seed=3), num_workers=workers)
    for epoch in range(epochs):
        source.sampler.set_epoch(epoch)
        found += list(source)
    return found


def test_it_is_a_teacher(canonical):
    found = CanonicalTeacher("large", canonical, swapped={"heatmap": SWAPPED}, warp="place")
    assert (found.name, found.reads, found.outputs) == ("large", ("id", "place", "mirrored"), ("heatmap",))
    assert CanonicalTeacher("large", canonical, swapped={}).reads == ("id", "warp")
    assert CanonicalTeacher("large", canonical, swapped={}, records="stored").reads == ("stored", "warp")
    assert list(found.parameters()) == []
    assert repr(found) == (
        f"CanonicalTeacher('large', {canonical!r}, swapped={{'heatmap': (0, 2, 1, 4, 3)}}, width='warped')"
    )


def test_one_record_serves_every_view(canonical):
    """Warped, and with left and right exchanged where mirrored."""
    live, found = teacher(), CanonicalTeacher("large", canonical, swapped={"heatmap": SWAPPED})
    mirrored = 0
    for batch in batches():
        maps = live.targets(batch)["heatmap"].half().float()
        for sample, flip in enumerate(batch["mirrored"].tolist()):
            maps[sample] = maps[sample, list(SWAPPED)] if flip else maps[sample]
            mirrored += flip
        given = found.targets(batch)["heatmap"]
        torch.testing.assert_close(given, warp_maps(maps, batch["warp"]), rtol=0, atol=1e-6)
        assert not given.requires_grad
    assert 0 < mirrored < 3 * SAMPLES


def test_the_width_of_peaks_is_kept_on_request(canonical):
    warped, kept = (CanonicalTeacher("large", canonical, swapped={}, width=width) for width in ("warped", "kept"))
    batch = batches()[0]
    maps = canonical.read(batch["id"], batch["view"])["heatmap"]
    expected = warp_maps(maps, keep_width(maps, batch["warp"]))
    assert torch.equal(kept.targets(batch)["heatmap"], expected)
    assert not torch.allclose(warped.targets(batch)["heatmap"], expected, atol=1e-2)
    assert warped.fingerprint() != kept.fingerprint()
    with pytest.raises(ConfigurationError, match=r"width is 'narrow', it must be one of \('warped', 'kept'\)"):
        CanonicalTeacher("large", canonical, swapped={}, width="narrow")


def test_without_augmentation_it_is_the_cached_teacher(canonical, tmp_path):
    build(tmp_path / "views", Plain())
    cached = CachedTeacher("large", TargetCache.open(tmp_path / "views"))
    found = CanonicalTeacher("large", canonical, swapped={"heatmap": SWAPPED})
    for batch in batches(Plain()):
        count = len(batch["id"])
        place = {"warp": NONE.expand(count, 2, 3), "mirrored": torch.zeros(count, dtype=torch.bool)}
        assert torch.equal(found.targets({**batch, **place})["heatmap"], cached.targets(batch)["heatmap"])


def test_records_may_come_with_the_batch_of_two_workers(canonical):
    by_id = CanonicalTeacher("large", canonical, swapped={"heatmap": SWAPPED})
    by_record = CanonicalTeacher("large", canonical, swapped={"heatmap": SWAPPED}, records="records")
    seen = batches(CachedDataset(Varied(), canonical), workers=2)
    for batch, own in zip(seen, batches(), strict=True):
        given = by_record.targets({name: batch[name] for name in by_record.reads})["heatmap"]
        assert torch.equal(given, by_id.targets(own)["heatmap"])


def test_transforms_come_after_the_warp(canonical):
    found = CanonicalTeacher("large", canonical, swapped={"heatmap": SWAPPED})
    student = Student(nn.Conv2d(3, 5, 1), inputs="image", outputs="heatmap")
    objective = Distill(found, "heatmap", losses.mse, transform=Binarize(0.5))
    distiller = Distiller(student, Curriculum(Stage("only", [objective], until=Epochs(1))))
    batch = batches()[0]
    target = Binarize(0.5)(found.targets(batch)["heatmap"])
    expected = nn.functional.mse_loss(student.module(batch["image"]), target)
    torch.testing.assert_close(distiller(batch).total, expected)
    around = TransformedTeacher(found, outputs={"heatmap": Binarize(0.5)})
    assert torch.equal(around.targets(batch)["heatmap"], target)


@pytest.mark.parametrize("codec", [Dense("uint8"), Dense("float16"), Window(4, "float16")])
def test_maps_may_be_stored_by_any_codec_of_values(codec, tmp_path):
    cache = build_canonical(tmp_path, codecs={"heatmap": codec})
    batch = batches()[0]
    stored = cache.read(batch["id"], torch.zeros_like(batch["id"]))["heatmap"]
    given = CanonicalTeacher("large", cache, swapped={}).targets(batch)["heatmap"]
    assert torch.equal(given, warp_maps(stored, batch["warp"]))


def test_a_canonical_cache_reads_the_same_for_any_view(canonical):
    ids, views = canonical.ids, torch.arange(SAMPLES)
    assert canonical.canonical
    assert torch.equal(canonical.read_records(ids, views), canonical.read_records(ids, 0 * views))
    canonical.read_records(ids, views, check=True)


def test_it_is_found_valid_by_what_it_was_made_of(canonical):
    expected = cache_fingerprint(teacher(), Plain(), transforms={"heatmap": Identity()}, fingerprint=CANONICAL)
    assert TargetCache.open(canonical.path, expect=expected).canonical
    with pytest.raises(CacheError, match="differs in teacher"):
        TargetCache.open(canonical.path, expect=cache_fingerprint(teacher(2), Plain(), fingerprint=CANONICAL))


def test_the_two_kinds_of_caches_are_told_apart(canonical, cache):
    assert not cache.canonical
    with pytest.raises(ConfigurationError, match=r"teacher 'a': the cache '.*' is canonical.*CanonicalTeacher"):
        CachedTeacher("a", canonical)
    with pytest.raises(ConfigurationError, match=r"holds a target for each of 3 views: use CachedTeacher"):
        CanonicalTeacher("a", cache, swapped={})
    with pytest.raises(ConfigurationError, match="a str is no TargetCache"):
        CanonicalTeacher("a", "folder", swapped={})
    with pytest.raises(CacheError, match="mode: there 'views', now 'canonical'"):
        TargetCache.open(cache.path, expect=CANONICAL)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"views": 2}, "has one view, which serves all epochs, not 2"),
        ({"dataset": Views()}, "gives another 'image' for another view of a sample"),
        (
            {"transforms": {"heatmap": Binarize(0.5)}},
            r"not after \{'heatmap': Binarize.*the objective, transform=",
        ),
        ({"codecs": {"heatmap": BitWindow(4)}, "transforms": {"heatmap": Binarize(0.5)}}, "not after"),
        (
            {"codecs": {"heatmap": BitWindow(4)}, "fingerprint": {**CANONICAL, "transforms": "{}"}},
            "zeros and ones",
        ),
    ],
)
def test_what_cannot_be_warped_is_not_built(options, message, tmp_path):
    settings = dict(options)
    if "codecs" in options:
        settings["teacher"] = ModuleTeacher("large", _Ones(), inputs="image", outputs="heatmap")
    with pytest.raises(ConfigurationError, match=message):
        build_canonical(tmp_path / "cache", **settings)
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").iterdir())


class _Ones(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return torch.ones(len(image), 5, 8, 6)


class _Several(nn.Module):
    """Maps of two sizes, and no map."""

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return OrderedDict(a=image, b=image[..., ::2, ::2], c=image.mean((2, 3)))


@pytest.mark.parametrize(
    ("codecs", "message"),
    [
        ({"a": Dense(), "b": Dense()}, r"of one size \(h, w\), not .*'b': \(4, 3\)"),
        ({"c": TopK(2)}, r"for maps \[C, h, w\], the output 'c' is \[3\]"),
    ],
)
def test_targets_of_other_shapes_are_refused(codecs, message, tmp_path):
    several = ModuleTeacher("large", _Several(), inputs="image", outputs=("a", "b", "c"))
    with pytest.raises(ConfigurationError, match=message):
        build_canonical(tmp_path, teacher=several, codecs=codecs)


@pytest.mark.parametrize(
    ("swapped", "message"),
    [
        ({"depth": SWAPPED}, r"swapped names 'depth', the cache holds \['heatmap'\]"),
        ({"heatmap": (1, 0)}, "for each of the 5 channels"),
        ({"heatmap": (1, 2, 3, 4, 0)}, "the one it changes places with"),
    ],
)
def test_channels_that_do_not_exchange_are_refused(canonical, swapped, message):
    with pytest.raises(ConfigurationError, match=message):
        CanonicalTeacher("large", canonical, swapped=swapped)


def test_what_a_batch_lacks_is_named(canonical):
    found, batch = CanonicalTeacher("large", canonical, swapped={"heatmap": SWAPPED}), batches()[0]
    with pytest.raises(BatchError, match="teacher 'large' reads the field 'warp', which the batch lacks"):
        found.targets({name: value for name, value in batch.items() if name != "warp"})
    with pytest.raises(
        BatchError, match=r"affine maps, float32 \[B, 2, 3\], in the field 'warp', found .*\[4, 3\]"
    ):
        found.targets({**batch, "warp": batch["warp"][:, 0]})
    with pytest.raises(BatchError, match=r"bool \[4\], in the field 'mirrored', found torch.bool \[4, 1\]"):
        found.targets({**batch, "mirrored": batch["mirrored"][:, None]})
    with pytest.raises(CacheError, match="no target for the id 4"):
        found.targets({**batch, "id": torch.full_like(batch["id"], 4)})


def test_the_teachers_convention_is_kept(tmp_path):
    network = nn.Conv2d(3, 5, 1)
    network.convention = {"codec": "DARK"}
    cache = build_canonical(tmp_path, teacher=ModuleTeacher("large", network, "image", "heatmap"))
    assert CanonicalTeacher("large", cache, swapped={}).convention == {"codec": "DARK"}


def test_what_is_swapped_tells_teachers_apart(canonical):
    one, other = (CanonicalTeacher("a", canonical, swapped=swapped) for swapped in ({}, {"heatmap": SWAPPED}))
    assert one.fingerprint() != other.fingerprint()
    assert one.fingerprint() == CanonicalTeacher("b", canonical, swapped={}).fingerprint()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_targets_are_on_the_batchs_device_and_nothing_is_waited_for(canonical):
    found = CanonicalTeacher("large", canonical, swapped={"heatmap": SWAPPED}, records="records")
    for batch in batches(CachedDataset(Varied(), canonical)):
        moved = {name: value.cuda() for name, value in batch.items()}
        found.targets(moved)  # copies the exchange of channels to the device, once
        torch.cuda.set_sync_debug_mode("error")
        try:
            given = found.targets(moved)["heatmap"]
        finally:
            torch.cuda.set_sync_debug_mode("default")
        torch.testing.assert_close(given.cpu(), found.targets(batch)["heatmap"], rtol=0, atol=1e-5)
