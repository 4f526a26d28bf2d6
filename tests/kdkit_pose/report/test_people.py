import numpy as np
import pytest

from kdkit.errors import ConfigurationError
from kdkit_pose.codecs import DARK
from kdkit_pose.data import Augment, CocoKeypoints
from kdkit_pose.report import draw_people
from kdkit_pose.synthetic import SyntheticPeople


def test_the_picture_grows_with_people_and_runs(dataset, truths):
    ids = dataset.annotation_ids
    small = draw_people(dataset, {"one": truths}, ids[:1]).image
    wide = draw_people(dataset, {"one": truths, "two": truths}, ids[:1]).image
    high = draw_people(dataset, {"one": truths}, ids[:3]).image
    assert small.dtype == np.uint8
    assert small.ndim == 3
    assert wide.shape[0] == small.shape[0]
    assert wide.shape[1] > 1.4 * small.shape[1]
    assert high.shape[1] == small.shape[1]
    assert high.shape[0] > 2.5 * small.shape[0]


def test_a_skeleton_lies_where_the_keypoints_are(dataset, truths):
    """Drawn keypoints change the crop around their own place, and nowhere else."""
    first = dataset.annotation_ids[0]
    keypoints = np.full((17, 3), np.nan)
    sample = dataset[0]
    width, height = dataset.codec.input_size
    # The crop's middle, so that it is the panel's middle wherever the panel is.
    keypoints[0] = [*sample["center"].numpy(), 1.0]
    bare = draw_people(dataset, {"run": {}}, [first]).image.astype(int)
    drawn = draw_people(dataset, {"run": {first: keypoints}}, [first]).image.astype(int)
    rows, columns = np.nonzero(np.abs(drawn - bare).sum(axis=2))
    panel_width = (drawn.shape[1] - 0.04 * 160) / 2
    panel_height = panel_width * height / width
    assert rows.mean() == pytest.approx(drawn.shape[0] - panel_height * (0.5 - 0.5 / height), abs=1.5)
    assert columns.mean() == pytest.approx(drawn.shape[1] - panel_width * (0.5 - 0.5 / width), abs=1.5)
    assert np.ptp(rows) < 20
    assert np.ptp(columns) < 20


def test_low_scores_are_fainter(dataset, truths):
    first = dataset.annotation_ids[0]
    doubtful = truths[first].copy()
    doubtful[:, 2] = 0.1
    bare, sure, faint = (
        draw_people(dataset, {"run": found}, [first]).image.astype(int)
        for found in ({}, {first: truths[first]}, {first: doubtful})
    )
    assert 0 < np.abs(faint - bare).sum() < 0.6 * np.abs(sure - bare).sum()


def test_the_truth_shows_mask_and_hidden_keypoints(dataset):
    content = dataset.coco_dict()
    annotation = next(a for a in content["annotations"] if 1 in a["keypoints"][2::3])
    people = SyntheticPeople(4, seed=1)

    def draw(change, **options):
        changed = [change(dict(a)) if a["id"] == annotation["id"] else a for a in content["annotations"]]
        data = CocoKeypoints(
            {**content, "annotations": changed}, people.picture, codec=DARK(input_size=(96, 128)), **options
        )
        return draw_people(data, {}, [annotation["id"]]).image

    def unhide(person):
        flat = np.array(person["keypoints"])
        flat[2::3] = np.where(flat[2::3] == 1, 2, flat[2::3])
        return {**person, "keypoints": flat.tolist()}

    plain = draw(lambda person: person)
    assert not np.array_equal(plain, draw(unhide))
    assert not np.array_equal(plain, draw(lambda person: person, masks=False))


def test_far_and_infinite_keypoints_can_be_drawn(dataset, truths):
    first = dataset.annotation_ids[0]
    odd = truths[first].copy()
    odd[0], odd[1], odd[2] = [np.nan, 0, 1], [1e5, -1e5, 1], [np.inf, 0, 1]
    figure = draw_people(dataset, {"<b>$x_{": {first: odd}}, [first])
    assert figure.image.dtype == np.uint8


@pytest.mark.parametrize("ids", [[], [123456]])
def test_ids_must_be_the_data_set_s(dataset, ids):
    with pytest.raises(ConfigurationError, match="ids must name annotations"):
        draw_people(dataset, {}, ids)


def test_predictions_must_fit_the_skeleton(dataset):
    first = dataset.annotation_ids[0]
    with pytest.raises(ConfigurationError, match=r"'run' must be keypoints \[17, 3\]"):
        draw_people(dataset, {"run": {first: np.zeros((17, 2))}}, [first])


def test_varied_crops_are_refused():
    people = SyntheticPeople(1, seed=1)
    data = CocoKeypoints(people.annotations(), people.picture, codec=DARK(input_size=(96, 128)), augment=Augment())
    with pytest.raises(ConfigurationError, match="without augmentation"):
        draw_people(data, {}, data.annotation_ids[:1])
