from dataclasses import replace

import cv2
import numpy as np
import pytest

from kdkit import ConfigurationError
from kdkit_pose.codecs import DARK
from kdkit_pose.data.masks import encode_mask
from kdkit_pose.prediction import draw_heatmaps, draw_poses
from kdkit_pose.prediction.labels import LabelPlaces
from kdkit_pose.prediction.overlay import person_colours
from kdkit_pose.skeleton import COCO, CROWDPOSE

MASK = encode_mask([[30, 50, 80, 50, 80, 190, 30, 190]], 320, 240)


def changed(drawn, picture):
    """Where the drawing of one pixel a pixel is not the picture."""
    return np.abs(drawn.astype(int) - picture).max(axis=2) > 0


def test_nothing_but_the_persons_is_drawn(picture, make_poses):
    poses = make_poses()
    touched = changed(draw_poses(picture, poses, COCO, enlarged=1), picture)
    inside = np.zeros_like(touched)
    for left, top, width, height in poses.boxes.astype(int):
        # Label and line widths beyond the box.
        inside[max(top - 20, 0) : top + height + 8, max(left - 8, 0) : left + width + 8] = True
    assert not (touched & ~inside).any()
    assert touched[inside].mean() > 0.1


@pytest.mark.parametrize("enlarged", [1, 2, 3])
def test_nobody_leaves_the_picture_as_it_is(picture, make_poses, enlarged):
    drawn = draw_poses(picture, make_poses(0), COCO, enlarged=enlarged)
    size = (320 * enlarged, 240 * enlarged)
    expected = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC) if enlarged > 1 else picture
    assert np.array_equal(drawn, expected)


@pytest.mark.parametrize(
    ("size", "expected"), [((320, 240), 4), ((640, 480), 2), ((1000, 400), 1), ((9, 2000), 1), ((1, 1), 1280)]
)
def test_small_pictures_are_enlarged_and_large_ones_are_not(make_poses, size, expected):
    width, height = size
    drawn = draw_poses(np.zeros((height, width, 3), dtype=np.uint8), make_poses(1), COCO)
    assert drawn.shape == (height * expected, width * expected, 3)


@pytest.mark.parametrize("row", range(17))
def test_each_keypoint_is_drawn_at_its_place(row, make_poses):
    black = np.zeros((240, 320, 3), dtype=np.uint8)
    poses = make_poses(1)
    poses.keypoints[..., 2] = np.maximum(np.eye(17)[row], 0.01)
    poses.keypoints[0, row, :2] = (200.0, 150.0)
    x, y = 200, 150
    colour = draw_poses(black, poses, COCO, enlarged=1)[y, x].astype(int)
    name = COCO.keypoints[row]
    # Left is blue, right orange, the nose in the surest person's pink.
    if "left" in name:
        assert colour[2] > 200 > 100 > colour[0]
    elif "right" in name:
        assert colour[0] > 200 > 100 > colour[2]
    else:
        assert colour[0] > 200
        assert colour[2] > 180
        assert colour[1] < 150


def test_a_keypoint_without_a_peak_is_not_drawn_nor_are_its_limbs(make_poses):
    black = np.zeros((240, 320, 3), dtype=np.uint8)
    poses, bare = make_poses(1), make_poses(1)
    ankle = COCO.keypoints.index("left_ankle")
    poses.keypoints[0, ankle] = (300.0, 5.0, 0.0)
    bare.keypoints[0, ankle] = np.nan
    drawn = draw_poses(black, poses, COCO, enlarged=1)
    assert np.array_equal(drawn, draw_poses(black, bare, COCO, enlarged=1))
    assert not drawn[:30, 120:].any()
    poses.keypoints[0, ankle, 2] = 0.05
    assert draw_poses(black, poses, COCO, enlarged=1)[:30, 120:].any()


def test_the_lower_its_score_the_fainter_a_keypoint(make_poses):
    black = np.zeros((240, 320, 3), dtype=np.uint8)
    bare = replace(COCO, limbs=())
    brightness = []
    for score in (0.0, 0.1, 0.19, 0.2, 0.3, 0.4):
        poses = make_poses(1)
        poses.keypoints[0, 0] = (250.0, 100.0, score)
        brightness.append(int(draw_poses(black, poses, bare, enlarged=1)[100, 250].max()))
    assert brightness == sorted(brightness)
    assert len(set(brightness)) == len(brightness)
    assert brightness[2] < 0.3 * 255 < 0.55 * 255 < brightness[3]
    assert brightness[-1] > 250


def test_a_weak_pose_has_neither_box_nor_label_and_a_doubtful_box_nothing(picture, make_poses):
    poses = make_poses(1)
    sure = changed(draw_poses(picture, poses, COCO, enlarged=1), picture)
    weak = changed(draw_poses(picture, replace(poses, scores=np.array([0.1])), COCO, enlarged=1), picture)
    left, top, _, height = poses.boxes[0].astype(int)
    assert sure[top + 5 : top + height - 5, left].mean() > 0.9
    assert weak[top + 5 : top + height - 5, left].mean() < 0.3
    assert sure[top - 4, left + 10]
    assert not weak[: top - 4].any()
    assert 0 < weak.sum() < sure.sum()
    middle = replace(COCO, limbs=())
    places = poses.keypoints[0, :, :2].round().astype(int)
    black = np.zeros_like(picture)
    faint = draw_poses(black, replace(poses, scores=np.array([0.1])), middle, enlarged=1)
    strong = draw_poses(black, poses, middle, enlarged=1)
    lit = [drawn[places[:, 1], places[:, 0]].max(axis=1).mean() for drawn in (faint, strong)]
    assert lit[0] < 0.7 * lit[1]
    doubtful = replace(poses, scores=np.array([0.1]), box_scores=np.array([0.15]))
    assert not changed(draw_poses(picture, doubtful, COCO, enlarged=1), picture).any()
    assert changed(draw_poses(picture, doubtful, COCO, enlarged=1, threshold=0.0), picture).any()


def test_the_same_drawing_each_time_and_inputs_untouched(picture, make_poses):
    poses = make_poses(3)
    before = picture.copy(), poses.keypoints.copy(), poses.boxes.copy(), poses.scores.copy()
    first = draw_poses(picture, poses, COCO, masks=[MASK, None, None])
    assert np.array_equal(first, draw_poses(picture, poses, COCO, masks=[MASK, None, None]))
    after = picture, poses.keypoints, poses.boxes, poses.scores
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    picture.setflags(write=False)
    assert np.array_equal(first, draw_poses(picture, poses, COCO, masks=[MASK, None, None]))


def test_a_mask_covers_its_person_alone(make_poses):
    grey = np.full((240, 320, 3), 90, dtype=np.uint8)
    without = draw_poses(grey, make_poses(1), COCO, enlarged=1)
    with_mask = draw_poses(grey, make_poses(1), COCO, enlarged=1, masks=[MASK])
    touched = changed(with_mask, without)
    inside = np.zeros_like(touched)
    inside[50:190, 30:80] = True
    near = cv2.dilate(inside.astype(np.uint8), np.ones((7, 7))) > 0
    assert touched[inside].mean() > 0.75
    assert not touched[~near].any()


@pytest.mark.parametrize(
    "skeleton",
    [
        CROWDPOSE,
        replace(COCO, limbs=()),
        replace(CROWDPOSE, name="one", keypoints=("tip",), flip_pairs=(), limbs=(), sigmas=(0.1,), upper_body=()),
    ],
    ids=["14 keypoints", "no limbs", "one keypoint"],
)
def test_any_skeleton_can_be_drawn(picture, make_poses, skeleton):
    poses = make_poses(2, skeleton)
    drawn = draw_poses(picture, poses, skeleton, enlarged=1)
    assert changed(drawn, picture).any()


def test_persons_beyond_the_picture_are_drawn_as_far_as_they_are_seen(picture, make_poses):
    poses = make_poses(1)
    poses.boxes[:] = [[-60.0, -50.0, 500.0, 400.0]]
    poses.keypoints[0, :8, :2] = (-1e5, 3e4)
    poses.keypoints[0, 8, :2] = (np.nan, np.nan)
    drawn = draw_poses(picture, poses, COCO, enlarged=1)
    assert drawn.shape == picture.shape


def test_poses_of_another_skeleton_and_no_enlargement_are_refused(picture, make_poses):
    with pytest.raises(ConfigurationError, match="poses of 17 keypoints are none of skeleton 'crowdpose'"):
        draw_poses(picture, make_poses(), CROWDPOSE)
    with pytest.raises(ConfigurationError, match="enlarged by 1 or more, found 0"):
        draw_poses(picture, make_poses(), COCO, enlarged=0)


def test_persons_are_told_apart_by_their_colours(make_poses):
    poses = make_poses(8)
    colours = person_colours(poses)
    assert len(set(colours)) == 8
    assert person_colours(poses.select([3, 0, 1])) == [colours[2], colours[0], colours[1]]
    assert person_colours(make_poses(9))[8] == colours[0]


def test_labels_lie_inside_of_the_picture_and_over_no_other():
    places = LabelPlaces((100, 80))
    rng = np.random.default_rng(0)
    found = []
    for _ in range(40):
        box = np.array([*rng.uniform(-30, 90, 2), *rng.uniform(5, 60, 2)])
        place = places.find(box, (22.0, 9.0))
        if place is not None:
            found.append(place)
    assert len(found) > 8
    for x, y in found:
        assert 0 <= x <= 78
        assert 0 <= y <= 71
    for index, (x, y) in enumerate(found):
        assert all(abs(x - a) >= 22 or abs(y - b) >= 9 for a, b in found[:index])


CODEC = DARK(input_size=(32, 64))


def with_heatmaps(poses, row, cell):
    maps = np.zeros((len(poses), 17, 16, 8), dtype=np.float32)
    maps[row, 3, cell[1], cell[0]] = 1.0
    return replace(poses, heatmaps=maps)


def test_a_heatmaps_peak_is_lit_where_it_is(picture, make_poses):
    poses = with_heatmaps(make_poses(1), 0, (5, 11))
    dark = draw_heatmaps(picture, replace(poses, heatmaps=0 * poses.heatmaps), CODEC)
    sheet = draw_heatmaps(picture, poses, CODEC)
    # 32 x 64 is shown five times as large, in a frame of 4: the cell's centre is 4 input pixels a cell.
    assert sheet.shape == (64 * 5 + 8, 32 * 5 + 8, 3)
    row, column = np.unravel_index((sheet.astype(int) - dark).sum(axis=2).argmax(), sheet.shape[:2])
    assert abs(column - (4 + 5 * 4 * 5)) <= 2
    assert abs(row - (4 + 11 * 4 * 5)) <= 2
    assert np.array_equal(sheet[:100], dark[:100])


def test_a_tile_for_each_person_the_surest_first_up_to_most(picture, make_poses):
    poses = with_heatmaps(make_poses(8), 7, (4, 8))
    one = draw_heatmaps(picture, poses, CODEC, most=1)
    all_of_them = draw_heatmaps(picture, poses, CODEC)
    height, width, _ = one.shape
    assert all_of_them.shape == (2 * height + 8, 6 * width + 5 * 8, 3)
    assert np.array_equal(all_of_them[:height, :width], one)
    assert np.array_equal(one, draw_heatmaps(picture, poses.select([0]), CODEC))


def test_a_sheet_of_nobody_and_one_without_heatmaps(picture, make_poses):
    nobody = replace(make_poses(0), heatmaps=np.zeros((0, 17, 16, 8), dtype=np.float32))
    assert draw_heatmaps(picture, nobody, CODEC).size > 0
    with pytest.raises(ConfigurationError, match="predict them with heatmaps=True"):
        draw_heatmaps(picture, make_poses(), CODEC)


@pytest.mark.parametrize("size", [(640, 480), (3000, 2)])
def test_a_drawing_too_large_for_memory_or_a_file_is_refused(make_poses, size):
    picture = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    with pytest.raises(ConfigurationError, match=f"{size[0]}x{size[1]} pixels, enlarged 40 times"):
        draw_poses(picture, make_poses(0), COCO, enlarged=40)
