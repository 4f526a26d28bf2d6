"""Keypoints of people in pictures: from a checkpoint file to coordinates and drawings.

A :class:`Predictor` is made of a file, ``Predictor.from_file("student.safetensors")``, or of a network and its
codec. Here is a network that knows nothing yet:

>>> import numpy as np
>>> from kdkit_pose import codecs, models
>>> from kdkit_pose.prediction import Predictor, draw_poses
>>> predictor = Predictor(models.create("hrnet_w8_small"), codecs.DARK(input_size=(64, 64)))

Pictures are RGB, as :func:`read_picture` gives them. Without boxes, the whole picture is one person's:

>>> picture = np.zeros((120, 160, 3), dtype=np.uint8)
>>> poses = predictor.predict(picture)
>>> poses.keypoints.shape, poses.boxes.tolist()
((1, 17, 3), [[0.0, 0.0, 160.0, 120.0]])

With a detector's boxes there is a pose for each, in their order; :meth:`Poses.distinct` tells which of them are
no near duplicates of better ones:

>>> poses = predictor.predict(picture, [[10, 10, 40, 100], [80, 5, 60, 110]], box_scores=[0.9, 0.7])
>>> len(poses), poses.scores.shape
(2, (2,))
>>> drawn = draw_poses(picture, poses, predictor.skeleton)
"""

from kdkit_pose.prediction.boxes import BoxFile, Persons, read_boxes
from kdkit_pose.prediction.folder import Drawing, PredictionFolder
from kdkit_pose.prediction.heatmap_sheet import draw_heatmaps
from kdkit_pose.prediction.keypoint_sheet import draw_keypoint_heatmaps
from kdkit_pose.prediction.overlay import draw_poses
from kdkit_pose.prediction.poses import Poses
from kdkit_pose.prediction.predictor import Predictor
from kdkit_pose.prediction.reading import PictureFile, find_pictures, read_picture

__all__ = [
    "BoxFile",
    "Drawing",
    "Persons",
    "PictureFile",
    "Poses",
    "PredictionFolder",
    "Predictor",
    "draw_heatmaps",
    "draw_keypoint_heatmaps",
    "draw_poses",
    "find_pictures",
    "read_boxes",
    "read_picture",
]
