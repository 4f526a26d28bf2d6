"""Persons cut from their pictures once, and read without decoding pictures."""

from kdkit_pose.data.packing.pack import pack, packed_bytes
from kdkit_pose.data.packing.packed_keypoints import PackedKeypoints

__all__ = ["PackedKeypoints", "pack", "packed_bytes"]
