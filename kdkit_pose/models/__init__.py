"""Pose networks and their checkpoint files.

A network is built by its name, one of `names()`. It maps images [B,3,H,W], sides in multiples of 32 pixels (an
hourglass: 64), to heatmaps at a quarter of the resolution:

>>> import torch
>>> from kdkit_pose import UDP, models
>>> [name for name in models.names() if not name.startswith("simplebaseline")][:4]
['hrnet_w16', 'hrnet_w18', 'hrnet_w32', 'hrnet_w48']
>>> student = models.create("hrnet_w8_small").eval()
>>> image = torch.rand(1, 3, 128, 96)
>>> student(image).shape
torch.Size([1, 17, 32, 24])

Features to distil from are returned, not hooked:

>>> outputs = models.create("hrnet_w8_small", features=("stage3",))(image)
>>> {name: list(output.shape) for name, output in outputs.items()}
{'heatmap': [1, 17, 32, 24], 'stage3': [1, 8, 32, 24]}

A saved network carries its description, so that `load` needs no name:

>>> import tempfile, pathlib
>>> folder = pathlib.Path(tempfile.mkdtemp())
>>> models.save(student, folder / "student.safetensors", **UDP().to_metadata())
>>> loaded = models.load(folder / "student.safetensors")
>>> torch.equal(loaded.eval()(image), student(image))
True

It knows what its heatmaps mean, and whatever evaluates, predicts, exports or saves it refuses another convention:

>>> loaded.codec == UDP()
True

A senior teacher also reads the person's mask. With an RGB network's weights it starts equal to that network:

>>> senior = models.create("hrnet_w8_small", mask_fusion="concat").eval()
>>> report = models.load_checkpoint(senior, folder / "student.safetensors")
>>> report.format, report.fresh
('kdkit safetensors', ('conv1.weight[:, 3:] (zero)',))
>>> senior.inputs
('image', 'mask')
>>> torch.allclose(senior(image, torch.rand(1, 1, 128, 96)), student(image), atol=1e-6)
True

A SimpleBaseline has the trunk of any convolutional classifier of timm, and starts from its weights:

>>> import timm
>>> torch.save(timm.create_model("resnet18").state_dict(), folder / "resnet18.pth")
>>> report = models.load_pretrained(models.create("simplebaseline_resnet18"), folder / "resnet18.pth")
>>> report.loaded, report.unused
(120, ('fc.weight', 'fc.bias'))

`load_checkpoint`, and `create(..., checkpoint=path)`, also take the official repository's files and mmpose's.
"""

from kdkit_pose.models.checkpoint import LoadReport, load_checkpoint
from kdkit_pose.models.checkpoint_files import read_metadata
from kdkit_pose.models.checkpoint_recognition import RecognisedFile, recognise
from kdkit_pose.models.cost import count_macs, count_parameters
from kdkit_pose.models.create import create, names
from kdkit_pose.models.description import describe
from kdkit_pose.models.heatmap_layer import Activation, HeatmapLayer
from kdkit_pose.models.hourglass import StackedHourglass
from kdkit_pose.models.hourglass_config import HourglassConfig
from kdkit_pose.models.hrnet import PoseHRNet
from kdkit_pose.models.hrnet_config import HRNetConfig
from kdkit_pose.models.litehrnet import LiteHRNet
from kdkit_pose.models.litehrnet_config import LiteHRNetConfig
from kdkit_pose.models.lpn import PoseLPN
from kdkit_pose.models.lpn_config import LPNConfig
from kdkit_pose.models.mask_fusion import MaskFusion, create_fusion
from kdkit_pose.models.network import PoseNetwork
from kdkit_pose.models.pretrained import load_pretrained
from kdkit_pose.models.saving import load, save
from kdkit_pose.models.simple_baseline import SimpleBaseline
from kdkit_pose.models.simple_baseline_config import SimpleBaselineConfig

__all__ = [
    "Activation",
    "HRNetConfig",
    "HeatmapLayer",
    "HourglassConfig",
    "LPNConfig",
    "LiteHRNet",
    "LiteHRNetConfig",
    "LoadReport",
    "MaskFusion",
    "PoseHRNet",
    "PoseLPN",
    "PoseNetwork",
    "RecognisedFile",
    "SimpleBaseline",
    "SimpleBaselineConfig",
    "StackedHourglass",
    "count_macs",
    "count_parameters",
    "create",
    "create_fusion",
    "describe",
    "load",
    "load_checkpoint",
    "load_pretrained",
    "names",
    "read_metadata",
    "recognise",
    "save",
]
