"""Masks for data without them: a network that learns persons' masks where they are annotated, and its files.

A mask-aware teacher reads each person's own mask. CrowdPose, most data sets of one's own and every detector's
boxes have none. Here a network from segmentation-models-pytorch learns, on a data set that has masks, to tell the
person in the middle of a crop from everyone else in it:

>>> import tempfile, pathlib, torch
>>> from kdkit_pose import CocoKeypoints, SyntheticPeople, masks
>>> from kdkit_pose.fit import FitSettings
>>> _ = torch.manual_seed(0)
>>> folder = pathlib.Path(tempfile.mkdtemp())
>>> people, others = SyntheticPeople(4, seed=0, size=(128, 96)), SyntheticPeople(2, seed=1, size=(128, 96))
>>> predictor = masks.MaskPredictor("fpn", "mobilenetv3_small_050", input_size=(64, 64), threshold=0.001)
>>> train = CocoKeypoints(people.annotations(), people.picture, codec=predictor.codec, augment=masks.AUGMENT)
>>> val = CocoKeypoints(others.annotations(), others.picture, codec=predictor.codec)
>>> settings = FitSettings(batch_size=4, progress=False, cpu=True)
>>> scores = masks.fit_masks(predictor, train, val, folder / "run", settings, epochs=1)
>>> 0 <= scores.iou <= 1 and scores.persons == len(val)
True

Its masks go into a file beside the data that names the predictor and how good it is, and the data set takes them
where persons have none of their own. Every report of it says so:

>>> content = others.annotations()
>>> for annotation in content["annotations"]:
...     del annotation["segmentation"]
>>> loaded = masks.load(folder / "run" / "student.safetensors")
>>> masks.predict_masks(loaded, content, others.picture).save(folder / "masks.json")
>>> data = CocoKeypoints(content, others.picture, codec=predictor.codec, predicted_masks=folder / "masks.json")
>>> masks.describe(data).endswith(f"persons predicted by {loaded.source}")
True
>>> loaded.source.file
'run/student.safetensors'
"""

from kdkit_pose.data.mask_source import MaskSource, MasksUsed
from kdkit_pose.data.predicted_masks import PredictedMasks
from kdkit_pose.masks.encoder_weights import load_encoder_weights
from kdkit_pose.masks.fit import fit_masks
from kdkit_pose.masks.naming import describe
from kdkit_pose.masks.persons import AUGMENT, Persons, masked_persons
from kdkit_pose.masks.place import place_mask
from kdkit_pose.masks.predict import predict_masks
from kdkit_pose.masks.predictor import ARCHITECTURES, MaskPredictor
from kdkit_pose.masks.saving import LoadedPredictor, load, save
from kdkit_pose.masks.scores import MaskEvaluator, MaskScores

__all__ = [
    "ARCHITECTURES",
    "AUGMENT",
    "LoadedPredictor",
    "MaskEvaluator",
    "MaskPredictor",
    "MaskScores",
    "MaskSource",
    "MasksUsed",
    "Persons",
    "PredictedMasks",
    "describe",
    "fit_masks",
    "load",
    "load_encoder_weights",
    "masked_persons",
    "place_mask",
    "predict_masks",
    "save",
]
