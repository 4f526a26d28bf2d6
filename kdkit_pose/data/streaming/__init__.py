"""Persons cut from their pictures into WebDataset shards, and read one shard after the other."""

from kdkit_pose.data.streaming.shard import shard
from kdkit_pose.data.streaming.streamed_keypoints import StreamedKeypoints

__all__ = ["StreamedKeypoints", "shard"]
