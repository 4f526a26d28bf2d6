"""Pictures of people and their keypoints, as samples for training and evaluation.

A data set needs annotations, pictures and a codec. Here the pictures come from a function; mostly one gives a
folder.

>>> import numpy as np
>>> from kdkit_pose.codecs import MSRA
>>> from kdkit_pose.data import Augment, CocoKeypoints, loader
>>> person = {
...     "id": 7, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 3000.0, "bbox": [20, 10, 60, 100],
...     "keypoints": [50, 30, 2] + [0, 0, 0] * 16, "segmentation": [[25, 15, 75, 15, 75, 105, 25, 105]],
... }
>>> content = {
...     "images": [{"id": 1, "width": 120, "height": 120}],
...     "annotations": [person, {**person, "id": 8, "iscrowd": 1}],
...     "categories": [{"id": 1, "name": "person"}],
... }
>>> def draw(entry):
...     return np.zeros((entry["height"], entry["width"], 3), dtype=np.uint8)
>>> people = CocoKeypoints(content, draw, codec=MSRA(), augment=Augment(), seed=0)
>>> print(people.skipped)
left out: crowd region: 1 (annotation 8)
noted: nothing

A sample is read by its index, or by (index, view): each view of a person is another random variation, and
always the same one for the same seed, person and view.

>>> sample = people[0, 3]
>>> {name: list(value.shape) for name, value in sample.items() if value.ndim > 1}
{'image': [3, 256, 192], 'mask': [1, 256, 192], 'heatmap': [17, 64, 48], 'keypoints': [17, 2]}
>>> bool((sample["image"] == people[0, 3]["image"]).all())
True

A loader's view is the epoch:

>>> batches = loader(people, batch_size=8, shuffle=True)
>>> batches.sampler.set_epoch(2)
>>> [batch["view"].tolist() for batch in batches]
[[2]]

Bodies of one's own come from the file, which needs OKS's constants beside the keypoints' names:

>>> dog = {"id": 4, "name": "dog", "keypoints": ["nose", "left_ear", "right_ear"], "sigmas": [0.02, 0.03, 0.03]}
>>> read_skeleton({"categories": [dog]}).flip_pairs
((1, 2),)

Persons without labels, a detector's say, can be kept for teachers alone to teach:

>>> boxes = [{"image_id": 1, "category_id": 1, "bbox": [20, 10, 60, 100], "score": 0.9}]
>>> found = CocoKeypoints(
...     {"images": content["images"]}, draw, codec=MSRA(), boxes=boxes, unlabelled="keep", augment=Augment()
... )
>>> found[0]["image"].shape, bool(found[0]["visible"].any())
(torch.Size([3, 256, 192]), False)
>>> from kdkit_pose import MaskAwareTeacher, models, recipes
>>> teacher = MaskAwareTeacher("teacher", models.create("hrnet_w8_small"))
>>> curriculum = recipes.fpd(teacher, alpha=1, teacher_region=None)
"""

from kdkit_pose.data.augment import Augment, Crop, Draw
from kdkit_pose.data.coco import CocoKeypoints, Unlabelled
from kdkit_pose.data.images import PictureFolder, PictureSource
from kdkit_pose.data.loading import loader
from kdkit_pose.data.normalize import MEAN, STD, denormalize, normalize
from kdkit_pose.data.packing import PackedKeypoints, pack, packed_bytes
from kdkit_pose.data.picture_check import PictureCheck, check_pictures
from kdkit_pose.data.pose_dataset import PoseDataset, Sample
from kdkit_pose.data.preparing import PrepareSamples
from kdkit_pose.data.skeletons import read_skeleton
from kdkit_pose.data.skipped import Skipped, Tally
from kdkit_pose.data.streaming import StreamedKeypoints, shard

__all__ = [
    "MEAN",
    "STD",
    "Augment",
    "CocoKeypoints",
    "Crop",
    "Draw",
    "PackedKeypoints",
    "PictureCheck",
    "PictureFolder",
    "PictureSource",
    "PoseDataset",
    "PrepareSamples",
    "Sample",
    "Skipped",
    "StreamedKeypoints",
    "Tally",
    "Unlabelled",
    "check_pictures",
    "denormalize",
    "loader",
    "normalize",
    "pack",
    "packed_bytes",
    "read_skeleton",
    "shard",
]
