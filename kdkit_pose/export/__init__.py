"""Networks as files for other programs: ONNX, and kdkit's self-describing safetensors.

Each is compared with the network before it is given its name: the ONNX file is run by onnxruntime, the
safetensors file is read again.

>>> import pathlib, tempfile
>>> from kdkit_pose import codecs, export, models
>>> student = models.create("hrnet_w8_small")
>>> codec = codecs.DARK(input_size=(64, 64))
>>> path = pathlib.Path(tempfile.mkdtemp()) / "student.onnx"
>>> report = export.to_onnx(student, path, codec)
>>> report.parity.difference < 1e-4, report.inputs["image"]
(True, 'float32 [batch, 3, 64, 64]')

The file says how its input is made and its output decoded, in numbers, in words, and as kdkit's own objects:

>>> metadata = export.read_onnx_metadata(path)
>>> codecs.from_metadata(metadata) == codec
True
>>> metadata["decoding_description"].splitlines()[0]
'One heatmap [16 rows, 16 columns] for each keypoint. The score is the value of the highest cell, 0 if it is'

ONNX needs the extra: `pip install 'kdkit[onnx]'`.
"""

from kdkit_pose.export.decoding import decoding_numbers, describe_decoding
from kdkit_pose.export.metadata import usage_metadata
from kdkit_pose.export.onnx_export import OnnxReport, to_onnx
from kdkit_pose.export.parity import Parity
from kdkit_pose.export.preprocessing import describe_preprocessing, preprocessing_numbers
from kdkit_pose.export.reading import read_onnx_metadata
from kdkit_pose.export.safetensors_export import SafetensorsReport, to_safetensors

__all__ = [
    "OnnxReport",
    "Parity",
    "SafetensorsReport",
    "decoding_numbers",
    "describe_decoding",
    "describe_preprocessing",
    "preprocessing_numbers",
    "read_onnx_metadata",
    "to_onnx",
    "to_safetensors",
    "usage_metadata",
]
