"""Training on shards that are read one after the other: for sets that do not fit on a disk or in memory.

Shards are tar files in WebDataset's layout, with an index beside them. The package ``webdataset`` (the extra
``streaming``) is needed once something is read or written.
"""

from kdkit.streaming.shard_index import Shard, ShardIndex
from kdkit.streaming.shard_sample import ShardSample
from kdkit.streaming.shards import Shards, index_shards
from kdkit.streaming.stream_loader import StreamLoader
from kdkit.streaming.write_shard import write_shard

__all__ = ["Shard", "ShardIndex", "ShardSample", "Shards", "StreamLoader", "index_shards", "write_shard"]
