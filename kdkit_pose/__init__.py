"""kdkit_pose: human pose on kdkit.

Networks, the mask-aware senior teacher, codecs, COCO data, evaluation and recipes. A recipe is an ordinary
:class:`kdkit.Curriculum`:

>>> from kdkit import Distiller, Student
>>> from kdkit_pose import MaskAwareTeacher, models, recipes
>>> primary = MaskAwareTeacher("primary", models.create("hrnet_w8_small"))
>>> senior = MaskAwareTeacher("senior", models.create("hrnet_w8_small", mask_fusion="concat"))
>>> student = Student(models.create("hrnet_w8_small", activation="sigmoid"), inputs="image", outputs="heatmap")
>>> distiller = Distiller(student, recipes.odkd(primary, senior))
>>> sorted(distiller.privileged_fields)
['mask']

Data that needs no download, drawn by :mod:`kdkit_pose.synthetic`, and its samples:

>>> from kdkit_pose import CocoKeypoints, SyntheticPeople
>>> from kdkit_pose.codecs import DARK
>>> people = SyntheticPeople(2, seed=1)
>>> data = CocoKeypoints(people.annotations(), people.picture, codec=DARK(input_size=(96, 128)))
>>> data[0]["heatmap"].shape
torch.Size([17, 32, 24])
"""

from kdkit_pose import codecs, models, recipes
from kdkit_pose.codecs import DARK, MSRA, UDP, Codec
from kdkit_pose.data import Augment, CocoKeypoints, loader
from kdkit_pose.evaluation import Evaluator, coco_metrics
from kdkit_pose.mask_aware_teacher import MaskAwareTeacher
from kdkit_pose.pose_student import pose_student
from kdkit_pose.skeleton import COCO, CROWDPOSE, Skeleton
from kdkit_pose.skeleton_mapping import KeypointMapping, map_keypoints
from kdkit_pose.synthetic import SyntheticPeople

__all__ = [
    "COCO",
    "CROWDPOSE",
    "DARK",
    "MSRA",
    "UDP",
    "Augment",
    "CocoKeypoints",
    "Codec",
    "Evaluator",
    "KeypointMapping",
    "MaskAwareTeacher",
    "Skeleton",
    "SyntheticPeople",
    "coco_metrics",
    "codecs",
    "loader",
    "map_keypoints",
    "models",
    "pose_student",
    "recipes",
]
