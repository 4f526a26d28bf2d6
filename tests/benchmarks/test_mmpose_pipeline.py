"""The stand-in for mmpose's pipeline shows what kdkit's own data set shows of the same crops."""

import json

import numpy as np
import pytest

from benchmarks.reference.mmpose_pipeline import KNOWN, Drawn, ReferencePipeline
from kdkit_pose import CocoKeypoints, SyntheticPeople
from kdkit_pose.codecs import MSRA
from kdkit_pose.data import denormalize
from kdkit_pose.synthetic import write_coco

CODEC = MSRA((96, 128))


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    path = write_coco(SyntheticPeople(4, seed=0), folder, "train")
    stand_in = ReferencePipeline(json.loads(path.read_text()), folder / "images", CODEC.input_size)
    return stand_in, CocoKeypoints(path, folder / "images", codec=CODEC)


def test_unchanged_crops_are_the_same(both):
    stand_in, data = both
    assert len(stand_in) == len(data) > 5
    for row in range(len(data)):
        found, expected = stand_in.sample(row, Drawn()), data[row]
        image = denormalize(expected["image"].numpy()).astype(int)
        # Its map is made of points in float32.
        assert (np.abs(found["image"].permute(1, 2, 0).numpy()[..., ::-1] - image) > 2).mean() < 0.001
        assert np.array_equal(found["weight"].clip(max=1), expected["visible"])
        np.testing.assert_allclose(found["heatmap"], expected["heatmap"], atol=1e-6)


def test_mirrored_crops_are_the_mirror_images(both):
    stand_in, _ = both
    plain, mirrored = stand_in.sample(0, Drawn()), stand_in.sample(0, Drawn(flip=True))
    assert np.array_equal(mirrored["weight"], plain["weight"][KNOWN["flip_indices"]])
    difference = plain["image"].flip(-1).int()[..., :-1] - mirrored["image"].int()[..., 1:]
    assert difference.abs().float().mean() < 12


def test_what_is_drawn_changes_and_comes_again(both):
    stand_in, _ = both
    again = ReferencePipeline.__new__(ReferencePipeline)
    again.__dict__ |= stand_in.__dict__ | {"_draw": np.random.default_rng(0)}
    first = again.batch([0, 0])
    again._draw = np.random.default_rng(0)
    second = again.batch([0, 0])
    assert (first["image"] == second["image"]).all()
    assert not (first["image"][0] == first["image"][1]).all()
    assert list(first["heatmap"].shape) == [2, 17, 32, 24]


def test_halves_and_zooms_show_less(both):
    stand_in, _ = both
    row = next(row for row in range(len(stand_in)) if stand_in.sample(row)["visible"].all())
    whole = stand_in.sample(row, Drawn())["weight"].sum()
    assert stand_in.sample(row, Drawn(zoom=0.5))["weight"].sum() <= whole
    upper, lower = (stand_in.sample(row, Drawn(half=half))["weight"] for half in ("upper", "lower"))
    assert upper[5:11].all()
    assert lower[11:].all()
