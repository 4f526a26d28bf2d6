"""Heatmap codecs: the one place that knows how keypoints become heatmaps and heatmaps keypoints.

A codec owns the affine map from picture to input, the targets, their decoding and the shift of the flip test,
so that no two conventions can be mixed. It is a frozen description: equal arguments make equal codecs.

>>> import torch
>>> from kdkit_pose import codecs
>>> codecs.names()
('msra', 'dark', 'udp')
>>> codec = codecs.create("dark", input_size=(192, 256), sigma=2.0)
>>> heatmap, weight = codec.encode([[100.0, 60.0], [20.0, 30.0]], visible=[2, 0])
>>> heatmap.shape, weight
((2, 64, 48), array([1., 0.], dtype=float32))

Decoding is batched torch and runs where the maps are. A keypoint without a peak scores 0:

>>> keypoints, scores = codec.decode(torch.from_numpy(heatmap)[None])
>>> keypoints[0, 0].round(decimals=1), scores
(tensor([100.,  60.]), tensor([[1., 0.]]))

A student that learnt binarized targets, flat discs, is decoded by their centroid:

>>> student_codec = codecs.create("dark", decoder="centroid")
>>> disc = torch.from_numpy(heatmap > 0.5).float()[None]
>>> student_codec.decode(disc)[0][0, 0].round(decimals=1)
tensor([100.,  60.])

A codec travels in a checkpoint's header as strings:

>>> codecs.from_metadata(codec.to_metadata()) == codec
True
"""

from kdkit_pose.codecs.centroid import peak_centroids
from kdkit_pose.codecs.codec import Codec, Decoder
from kdkit_pose.codecs.dark import DARK
from kdkit_pose.codecs.factory import create, from_metadata, names
from kdkit_pose.codecs.msra import MSRA
from kdkit_pose.codecs.udp import UDP

__all__ = ["DARK", "MSRA", "UDP", "Codec", "Decoder", "create", "from_metadata", "names", "peak_centroids"]
