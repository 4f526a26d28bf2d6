"""Teachers' targets on disk: the teacher is run once, and training costs as if there were none.

A target is of a *view* of a sample: one variant of it, drawn from (seed, id, view) alone, so that it can be drawn
again. A data set gives views by their number:

>>> import tempfile, torch
>>> from torch.utils.data import DataLoader, Dataset
>>> from kdkit import CachedTeacher, ModuleTeacher, TargetCache, build_cache
>>> from kdkit.cache import Dense
>>> from kdkit.sampling import ViewSampler, sample_generator
>>> class Pictures(Dataset):
...     annotation_ids, seed = (7, 3, 5), 0
...     def fingerprint(self):
...         return "three pictures of noise"
...     def __len__(self):
...         return 3
...     def __getitem__(self, key):
...         index, view = key
...         draw = sample_generator(self.seed, self.annotation_ids[index], view)
...         image = torch.from_numpy(draw.random((3, 16, 12), dtype="float32"))
...         return {"image": image, "id": torch.tensor(self.annotation_ids[index]), "view": torch.tensor(view)}

A cache holds what a teacher gives for all of them, transformed, each output by a codec:

>>> _ = torch.manual_seed(0)
>>> teacher = ModuleTeacher("large", torch.nn.Conv2d(3, 5, 3, padding=1), inputs="image", outputs="heatmap")
>>> folder = tempfile.TemporaryDirectory()
>>> report = build_cache(folder.name, teacher, Pictures(), codecs={"heatmap": Dense("float16")}, views=4)
>>> report.built
12

It is a teacher, too:

>>> cached = CachedTeacher("large", TargetCache.open(folder.name))
>>> batch = next(iter(DataLoader(Pictures(), batch_size=3, sampler=ViewSampler(3, seed=0, views=4))))
>>> difference = cached.targets(batch)["heatmap"] - teacher.targets(batch)["heatmap"]
>>> bool(difference.abs().max() < 1e-3)
True
>>> folder.cleanup()
"""

from kdkit.cache.bit_window import BitWindow
from kdkit.cache.build import BuildReport, build_cache
from kdkit.cache.cached_dataset import CachedDataset
from kdkit.cache.cached_teacher import CachedTeacher
from kdkit.cache.canonical import CANONICAL
from kdkit.cache.canonical_teacher import CanonicalTeacher
from kdkit.cache.codec import RecordCodec, codec_from
from kdkit.cache.dense import Dense
from kdkit.cache.fingerprint import cache_fingerprint
from kdkit.cache.header import Header, StoredOutput
from kdkit.cache.peak_width import keep_width
from kdkit.cache.target_cache import TargetCache
from kdkit.cache.top_k import TopK
from kdkit.cache.warping import warp_maps
from kdkit.cache.window import Window

__all__ = [
    "CANONICAL",
    "BitWindow",
    "BuildReport",
    "CachedDataset",
    "CachedTeacher",
    "CanonicalTeacher",
    "Dense",
    "Header",
    "RecordCodec",
    "StoredOutput",
    "TargetCache",
    "TopK",
    "Window",
    "build_cache",
    "cache_fingerprint",
    "codec_from",
    "keep_width",
    "warp_maps",
]
