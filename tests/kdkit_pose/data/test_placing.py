"""A person's map without augmentation, warped, is the map of the view."""

import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor

from kdkit import Binarize, CachedTeacher, CacheError, ConfigurationError, TargetCache, build_cache
from kdkit.cache import CANONICAL, CachedDataset, CanonicalTeacher, Dense, cache_fingerprint, keep_width, warp_maps
from kdkit_pose import MaskAwareTeacher, codecs
from kdkit_pose.codecs import DARK, Codec
from kdkit_pose.data import Augment, CocoKeypoints, PackedKeypoints, PoseDataset, loader
from kdkit_pose.data.collating import collate
from kdkit_pose.skeleton import COCO

ANY = Augment(half_body_probability=0.5, half_body_minimum=2)
SWAPPED = {"heatmap": COCO.flip_permutation}
VIEWS = 6


def read(data: PoseDataset, view: int) -> dict[str, Tensor]:
    """A view of everyone."""
    batch = collate(data.__getitems__([(row, view) for row in range(len(data))]))
    return batch if data.prepare is None else data.prepare(batch)


def exchanged(values: Tensor, mirrored: Tensor) -> Tensor:
    """Values [B, K, ...] with left and right exchanged where mirrored."""
    swap = mirrored.view(-1, *[1] * (values.ndim - 1))
    return torch.where(swap, values[:, list(COCO.flip_permutation)], values)


def at(warp: Tensor, points: Tensor) -> Tensor:
    """Points [B, K, 2] after the maps [B, 2, 3]."""
    return points @ warp[:, :, :2].mT + warp[:, None, :, 2]


def back(warp: Tensor, points: Tensor) -> Tensor:
    """Points [B, K, 2] before the maps [B, 2, 3]."""
    return (points - warp[:, None, :, 2]) @ torch.linalg.inv(warp[:, :, :2]).mT


def inside(cells: Tensor, codec: Codec, margin: float) -> Tensor:
    last = torch.tensor(codec.heatmap_size) - 1
    return ((cells >= margin) & (cells <= last - margin)).all(-1)


@pytest.fixture(params=codecs.names())
def codec(request) -> Codec:
    # The centroid finds also MSRA's peaks below the grid.
    return codecs.create(request.param, (96, 128), decoder="centroid")


@pytest.fixture
def data(tiny_people, codec) -> CocoKeypoints:
    return tiny_people(pictures=8, codec=codec, augment=ANY, seed=4, canonical=True, cache_images=True)


def test_keypoints_are_where_the_warp_says(data, codec):
    cell, whole, seen = torch.tensor(codec.cell_size), read(data.unaugmented(), 0), []
    for view in range(VIEWS):
        batch = read(data, view)
        labelled = batch["keypoints"].any(-1)
        canonical = exchanged(whole["keypoints"], batch["mirrored"]) / cell
        found = at(batch["warp"], batch["keypoints"] / cell)
        torch.testing.assert_close(found[labelled], canonical[labelled], rtol=0, atol=1e-3)
        seen.append(batch["mirrored"])
    assert 0 < torch.cat(seen).sum() < VIEWS * len(data)


def test_a_warped_map_decodes_to_the_views_keypoints(data, codec):
    """Below a tenth of a cell, where the map holds all of the Gaussian, and on average far below."""
    cell, whole, errors = torch.tensor(codec.cell_size), read(data.unaugmented(), 0), []
    for view in range(VIEWS):
        batch = read(data, view)
        centers = exchanged(whole["keypoints"], batch["mirrored"]) / cell
        if codec.name == "msra":  # its Gaussians are around whole cells
            centers = torch.trunc(centers + 0.5)
        expected = back(batch["warp"], centers)
        maps = exchanged(whole["heatmap"], batch["mirrored"])
        found = codec.decode(warp_maps(maps, batch["warp"]))[0] / cell
        margin = 3 * codec.sigma
        known = inside(expected, codec, margin) & inside(centers, codec, margin) & (batch["visible"] > 0)
        errors.append((found - expected).norm(dim=-1)[known])
    error = torch.cat(errors)
    assert len(error) > 100
    assert error.max() < 0.15
    assert error.mean() < 0.02


def test_a_map_whose_width_is_kept_is_the_views_own(data, codec):
    """Where the map holds all of the Gaussian; MSRA's are around another cell than the view's."""
    if codec.name == "msra":
        pytest.skip("its Gaussians are around whole cells of the map")
    cell, whole, apart, warped = torch.tensor(codec.cell_size), read(data.unaugmented(), 0), [], []
    for view in range(VIEWS):
        batch = read(data, view)
        known = inside(batch["keypoints"] / cell, codec, 0) & (batch["visible"] > 0)
        known &= inside(exchanged(whole["keypoints"], batch["mirrored"]) / cell, codec, 3 * codec.sigma)
        maps = exchanged(whole["heatmap"], batch["mirrored"])
        for found, warp in ((apart, keep_width(maps, batch["warp"])), (warped, batch["warp"])):
            found.append((warp_maps(maps, warp) - batch["heatmap"]).abs().amax((-2, -1))[known])
    assert len(torch.cat(apart)) > 100
    assert torch.cat(apart).max() < 0.12  # bilinear: at most this is lost of a peak of sigma 2
    assert torch.cat(warped).mean() > 3 * torch.cat(apart).mean()


def test_without_augmentation_the_map_stays_as_it_is(data):
    plain = data.unaugmented()
    plain.canonical = True
    batch = read(plain, 3)
    assert not batch["mirrored"].any()
    assert torch.equal(warp_maps(batch["heatmap"], batch["warp"]), batch["heatmap"])


def test_the_fields_are_there_on_request_and_change_no_other(tiny_people):
    without, asked = (tiny_people(augment=ANY, canonical=canonical) for canonical in (False, True))
    one, other = read(without, 1), read(asked, 1)
    assert other.keys() - one.keys() == {"warp", "mirrored"}
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert without.fingerprint() == asked.fingerprint()
    assert (other["warp"].dtype, list(other["warp"].shape)) == (torch.float32, [len(asked), 2, 3])
    assert other["mirrored"].dtype == torch.bool


@pytest.mark.parametrize("packing", [False, True])
def test_who_varies_finds_who_does_not(tiny_people, packed, packing, tmp_path):
    """Whatever seed and augmentation."""

    def make(**options: object) -> PoseDataset:
        if packing:
            return PackedKeypoints(folder, codec=DARK(input_size=(32, 32)), **options)
        return tiny_people(cache_images=True, **options)

    folder = packed(tiny_people(), augment=ANY) if packing else tmp_path
    data, plain = make(augment=ANY, seed=4, canonical=True), make()
    found = data.unaugmented()
    assert type(found) is type(data)
    assert (found.augment, found.seed, found.canonical) == (None, 0, False)
    assert (data.augment, data.seed, data.canonical) == (ANY, 4, True)
    assert (
        found.fingerprint() == plain.fingerprint() == make(augment=Augment(), seed=1).unaugmented().fingerprint()
    )
    assert found.fingerprint() != data.fingerprint()
    one, other = read(found, 5), read(plain, 0)
    assert all(torch.equal(one[name], other[name]) for name in one.keys() - {"view"})


@pytest.mark.parametrize("workers", [0, 2])
def test_packed_persons_lie_where_pictures_do(tiny_people, packed, workers):
    data = tiny_people(augment=ANY, seed=4, canonical=True)
    folder = packed(data, augment=ANY)
    read_packed = PackedKeypoints(folder, codec=data.codec, augment=ANY, seed=4, canonical=True)
    again = pickle.loads(pickle.dumps(read_packed))
    for one, other in zip(loader(data, 5), loader(again, 5, workers=workers), strict=True):
        for name in ("warp", "mirrored"):
            assert torch.equal(one[name], other[name])


@pytest.fixture
def teacher(tiny_teacher) -> MaskAwareTeacher:
    return tiny_teacher("senior", mask_fusion="concat")


def build(folder: Path, teacher: MaskAwareTeacher, data: PoseDataset, **options: object) -> TargetCache:
    """A canonical cache for a data set that varies."""
    plain, prepare = data.unaugmented(), data.prepare
    settings = {"codecs": {"heatmap": Dense("float16")}, "views": 1, "fingerprint": CANONICAL, "prepare": prepare}
    build_cache(folder, teacher, plain, **{**settings, **options})
    expected = cache_fingerprint(teacher, plain, prepare=prepare, fingerprint=CANONICAL)
    return TargetCache.open(folder, expect=expected)


@pytest.mark.parametrize("packing", [False, True])
def test_a_cache_made_without_augmentation_serves_who_varies(tiny_people, teacher, packed, packing, tmp_path):
    """With two workers, which read the records, too."""
    data: PoseDataset = tiny_people(augment=ANY, seed=4, canonical=True)
    if packing:
        folder = packed(data, augment=ANY)
        data = PackedKeypoints(folder, codec=data.codec, augment=ANY, seed=4, canonical=True)
    cache = build(tmp_path / "cache", teacher, data)
    canonical = CanonicalTeacher("senior", cache, swapped=SWAPPED, records="records")
    maps = teacher.targets(read(data.unaugmented(), 0))["heatmap"].half().float()
    row_of = {number: row for row, number in enumerate(data.annotation_ids)}
    batches = loader(CachedDataset(data, cache), 5, shuffle=True, workers=2)
    batches.sampler.set_epoch(7)
    for batch in batches:
        mine = exchanged(maps[[row_of[number] for number in batch["id"].tolist()]], batch["mirrored"])
        expected = warp_maps(mine, batch["warp"])
        ready = batch if data.prepare is None else data.prepare(batch)
        # In a batch of another size a network rounds otherwise.
        torch.testing.assert_close(canonical.targets(ready)["heatmap"], expected, rtol=2e-3, atol=1e-5)


def test_a_cache_is_told_by_persons_and_not_by_how_they_vary(tiny_people, teacher, tmp_path):
    build(tmp_path, teacher, tiny_people(augment=ANY, seed=4))
    for data, found in ((tiny_people(augment=Augment(), seed=1), True), (tiny_people(drawing=3), False)):
        expected = cache_fingerprint(teacher, data.unaugmented(), fingerprint=CANONICAL)
        if found:
            TargetCache.open(tmp_path, expect=expected)
        else:
            with pytest.raises(CacheError, match="differs in data"):
                TargetCache.open(tmp_path, expect=expected)


def test_without_augmentation_it_is_the_live_teachers_map(tiny_people, teacher, tmp_path):
    data = tiny_people(canonical=True)
    cache = build(tmp_path / "canonical", teacher, data)
    # Of one view: in other batches a network rounds otherwise.
    build_cache(tmp_path / "views", teacher, data, codecs={"heatmap": Dense("float16")}, views=1)
    cached = CachedTeacher("senior", TargetCache.open(tmp_path / "views"))
    canonical = CanonicalTeacher("senior", cache, swapped=SWAPPED)
    expected = cached.targets(read(data, 0))["heatmap"]
    for view in range(3):
        assert torch.equal(canonical.targets(read(data, view))["heatmap"], expected)


def test_an_augmented_data_set_is_no_canonical_cache(tiny_people, teacher, tmp_path):
    data = tiny_people(augment=ANY)
    with pytest.raises(ConfigurationError, match="gives another 'image' for another view"):
        build_cache(tmp_path, teacher, data, codecs={"heatmap": Dense()}, views=1, fingerprint=CANONICAL)
    with pytest.raises(ConfigurationError, match="must come after the warp"):
        build(tmp_path, teacher, data, transforms={"heatmap": Binarize(0.5)})
