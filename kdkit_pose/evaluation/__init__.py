"""Evaluation by the top-down COCO protocol: flip test, decoding, rescoring, OKS-NMS, and pycocotools'
metrics.

:class:`Evaluator` does it all and is what a trainer calls; its steps are functions that serve alone too. Here
a stand-in for a network always answers with one person's true heatmaps:

>>> import numpy as np, torch
>>> from kdkit_pose import codecs
>>> from kdkit_pose.evaluation import Evaluator
>>> from kdkit_pose.geometry import apply_affine, box_to_center_scale
>>> codec = codecs.DARK(input_size=(96, 128))
>>> box, person = [10.0, 10.0, 60.0, 80.0], np.random.default_rng(0).uniform(20, 60, size=(17, 2))
>>> center, scale = box_to_center_scale(box, aspect=0.75)
>>> heatmap, _ = codec.encode(apply_affine(codec.affine(center, scale), person), visible=np.ones(17))
>>> class Oracle(torch.nn.Module):
...     def forward(self, image):
...         return torch.from_numpy(heatmap)[None]

The ground truth is a COCO keypoint file, or its content; the loader gives batches of crops:

>>> truth = {"images": [{"id": 7}], "categories": [{"id": 1}], "annotations": [{
...     "id": 3, "image_id": 7, "category_id": 1, "bbox": box, "area": 4800.0, "iscrowd": 0,
...     "keypoints": np.column_stack([person, np.full(17, 2)]).ravel().tolist()}]}
>>> batch = {"image": torch.zeros(1, 3, 128, 96), "id": torch.tensor([3]), "image_id": torch.tensor([7]),
...     "center": torch.tensor(center)[None], "scale": torch.tensor(scale)[None], "box_score": torch.ones(1)}
>>> evaluate = Evaluator([batch], truth, codec, flip=False)
>>> round(evaluate(Oracle())["val/AP"], 3)
1.0

No AP without the source of its boxes, and none from a person who was not there (None, null in JSON):

>>> metrics = evaluate.metrics(Oracle())
>>> round(metrics["APM"], 3), metrics["APL"], metrics["boxes"]
(1.0, None, 'ground truth')

Where it errs, keypoint by keypoint, and whether another network is better by more than chance:

>>> results = evaluate.results(Oracle())
>>> errors = keypoint_errors(truth, results)
>>> errors.matched, errors.keypoints[0].keypoint, errors.keypoints[0].median < 0.1
(1, 'nose', True)
>>> two = {**truth, "images": [{"id": 7}, {"id": 8}]}
>>> print(compare(two, results, results))
AP difference +0.000, 95% interval +0.000 to +0.000 (2000 paired resamples of 2 pictures): may be chance
"""

from kdkit_pose.evaluation.annotations import load_annotations
from kdkit_pose.evaluation.bootstrap import Comparison, check_comparable, compare
from kdkit_pose.evaluation.crowd_index import CrowdLevels, crowd_levels
from kdkit_pose.evaluation.evaluator import Evaluator
from kdkit_pose.evaluation.keypoint_error import KeypointError, KeypointErrors, keypoint_errors
from kdkit_pose.evaluation.metrics import Boxes, Metrics, coco_metrics
from kdkit_pose.evaluation.modes import evaluating
from kdkit_pose.evaluation.nms import oks_nms, pairwise_oks
from kdkit_pose.evaluation.predict import predict, predict_heatmap
from kdkit_pose.evaluation.rescore import rescore
from kdkit_pose.evaluation.results import read_results, write_results

__all__ = [
    "Boxes",
    "Comparison",
    "CrowdLevels",
    "Evaluator",
    "KeypointError",
    "KeypointErrors",
    "Metrics",
    "check_comparable",
    "coco_metrics",
    "compare",
    "crowd_levels",
    "evaluating",
    "keypoint_errors",
    "load_annotations",
    "oks_nms",
    "pairwise_oks",
    "predict",
    "predict_heatmap",
    "read_results",
    "rescore",
    "write_results",
]
