from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from kdkit import ConfigurationError
from kdkit_pose.codecs import DARK
from kdkit_pose.prediction import draw_keypoint_heatmaps
from kdkit_pose.prediction.overlay import person_colours
from kdkit_pose.report.skeletons import LEFT, MIDDLE, RIGHT
from kdkit_pose.skeleton import COCO, CROWDPOSE, Skeleton

CODEC = DARK(input_size=(32, 64))


def with_heatmaps(poses, row, cell):
    """Poses of which one has a peak, of its fourth keypoint."""
    maps = np.zeros((len(poses), 17, 16, 8), dtype=np.float32)
    maps[row, 3, cell[1], cell[0]] = 1.0
    return replace(poses, heatmaps=maps)


def test_a_tile_for_each_keypoint_with_its_heatmap_alone(picture, make_poses):
    poses = with_heatmaps(make_poses(2), 1, (5, 11))
    none = draw_keypoint_heatmaps(picture, replace(poses, heatmaps=0 * poses.heatmaps), 1, CODEC, COCO)
    sheet = draw_keypoint_heatmaps(picture, poses, 1, CODEC, COCO)
    # 18 tiles, the first of all keypoints: three rows of six; 32 x 64 is shown 150 / 32 times as large.
    zoom, gap, header = 150 / 32, 10, 24
    assert sheet.shape == (3 * (300 + header + gap), 6 * (150 + gap) + gap, 3)
    lit = (sheet.astype(int) - none).sum(axis=2)
    tiles = np.abs(lit).reshape(3, 300 + header + gap, -1)[:, :, : 6 * (150 + gap)]
    changed = [(row, column) for row, column in np.ndindex(3, 6) if tiles[row, :, 160 * column :][:, :160].any()]
    # The keypoint with the heatmap is the fourth, behind the tile of all.
    assert changed == [(0, 0), (0, 4)]
    row, column = np.unravel_index(lit[:, :160].argmax(), (len(lit), 160))
    assert abs(column - (gap + 5 * 4 * zoom)) <= 2
    assert abs(row - (header + 11 * 4 * zoom)) <= 2


def test_a_keypoint_is_marked_where_it_was_found(picture, make_poses):
    poses = with_heatmaps(make_poses(1), 0, (5, 11))
    moved = replace(poses, keypoints=poses.keypoints.copy())
    moved.keypoints[0, 3, :2] = poses.centers[0]  # the crop's middle
    first, second = (draw_keypoint_heatmaps(picture, p, 0, CODEC, COCO).astype(int) for p in (poses, moved))
    columns = np.flatnonzero((first != second).any(axis=(0, 2)))
    assert columns.min() > 10 + 4 * 160
    assert columns.max() < 10 + 4 * 160 + 150
    bright = np.argwhere((second > 200).all(axis=2) & (first != second).any(axis=2))
    np.testing.assert_allclose(bright.mean(axis=0), (24 + 150, 10 + 4 * 160 + 75), atol=3)


def test_sides_and_the_person_are_told_by_colour(picture, make_poses):
    poses = with_heatmaps(make_poses(2), 1, (5, 11))
    sheet = draw_keypoint_heatmaps(picture, poses, 1, CODEC, COCO)
    headers = [sheet[2:22, 10 + 160 * column :][:, :150].reshape(-1, 3) for column in range(6)]
    # The person, the nose, the left eye, the right eye, the left ear, the right ear.
    for header, colour in zip(headers, (person_colours(poses)[1], MIDDLE, LEFT, RIGHT, LEFT, RIGHT), strict=True):
        expected = 255 * np.array(to_rgb(colour))
        assert np.abs(header - expected).max(axis=1).min() < 12


def test_long_names_keep_to_their_tiles(picture, make_poses):
    names = ("a_keypoint_of_a_very_long_name_that_nobody_would_ever_give", "second")
    body = Skeleton("two", names, (), (), (0.1, 0.1), ())
    poses = make_poses(1, body)
    poses = replace(poses, heatmaps=np.zeros((1, 2, 16, 8), dtype=np.float32))
    sheet = draw_keypoint_heatmaps(picture, poses, 0, CODEC, body)
    assert sheet.shape[1] == 3 * 160 + 10
    between = sheet[:24, 10 + 160 + 150 : 10 + 2 * 160]
    assert (between == between[0, 0]).all()


def test_what_a_sheet_of_keypoints_cannot_be_made_of_is_refused(picture, make_poses):
    with pytest.raises(ConfigurationError, match="predict them with heatmaps=True"):
        draw_keypoint_heatmaps(picture, make_poses(), 0, CODEC, COCO)
    poses = with_heatmaps(make_poses(), 0, (5, 11))
    with pytest.raises(ConfigurationError, match="poses of 17 keypoints are none of skeleton 'crowdpose'"):
        draw_keypoint_heatmaps(picture, poses, 0, CODEC, CROWDPOSE)


def test_a_keypoint_without_a_peak_has_no_mark(picture, make_poses):
    poses = with_heatmaps(make_poses(1), 0, (5, 11))
    drawn = []
    for place in (poses.centers[0], poses.centers[0] + 30):
        poses.keypoints[0, 3] = (*place, 0.0)
        drawn.append(draw_keypoint_heatmaps(picture, poses, 0, CODEC, COCO))
    assert np.array_equal(*drawn)
