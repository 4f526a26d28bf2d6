"""Target transforms: pure, composable maps on a teacher's targets and on ground truth.

>>> import torch
>>> from kdkit.transforms import Binarize, Truncate
>>> (Truncate(0.25) >> Binarize(0.5))(torch.tensor([[0.125, 0.375, 0.75]]))
tensor([[0., 0., 1.]])
"""

from kdkit.transforms.binarize import Binarize
from kdkit.transforms.channels import Channels
from kdkit.transforms.normalize import Normalize
from kdkit.transforms.resize import Resize
from kdkit.transforms.standardize import IMAGENET_MEAN, IMAGENET_STD, Standardize
from kdkit.transforms.temperature import Temperature
from kdkit.transforms.transform import Chain, Identity, TargetTransform
from kdkit.transforms.truncate import Truncate

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Binarize",
    "Chain",
    "Channels",
    "Identity",
    "Normalize",
    "Resize",
    "Standardize",
    "TargetTransform",
    "Temperature",
    "Truncate",
]
