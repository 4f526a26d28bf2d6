"""Teachers' heatmaps, computed once and learned from by all rows."""

from collections.abc import Mapping
from pathlib import Path

from kdkit import CachedTeacher, TargetCache, Teacher, build_cache
from kdkit.cache import CANONICAL, CanonicalTeacher, Dense, cache_fingerprint
from kdkit_pose.data import PoseDataset
from kdkit_pose.data.maskless import without_masks

_CODECS = {"heatmap": Dense("float16")}


class SharedTargets:
    """Makes, of teachers, others that read the same heatmaps from a cache; what is there is not made again.

    Several processes may want the same heatmaps at once: they share the work.

    Args:
        out: the folder of the caches; it can be removed when no training needs it any more.
        batch_size: persons a teacher looks at at once.
        workers: processes that read samples.
        device: where teachers run.
    """

    def __init__(self, out: str | Path, *, batch_size: int = 64, workers: int = 0, device: str = "cpu") -> None:
        self._out, self._batch_size, self._workers, self._device = Path(out), batch_size, workers, device

    def of_views(self, teachers: Mapping[str, Teacher], data: PoseDataset, views: int) -> dict[str, Teacher]:
        """Return teachers of heatmaps of every view: the live ones', rounded to half precision.

        Args:
            teachers: by role.
            data: the training persons; each seed's have a cache of their own.
            views: of each person, the epochs that learn from it.
        """
        return {
            role: CachedTeacher(
                role,
                self._cache(f"{role}-seed-{data.seed}", teacher, self._seen_by(teacher, data), views),
                records=f"{role}_records",
            )
            for role, teacher in teachers.items()
        }

    def canonical(self, teachers: Mapping[str, Teacher], data: PoseDataset) -> dict[str, Teacher]:
        """Return teachers of one heatmap of each person, warped to every view; see `kdkit.cache.CanonicalTeacher`.

        The students' data are to be ``data.placed()``.

        Args:
            teachers: by role.
            data: the training persons, of any seed.
        """
        swapped = {"heatmap": data.skeleton.flip_permutation}
        return {
            role: CanonicalTeacher(
                role,
                self._cache(f"{role}-canonical", teacher, self._seen_by(teacher, data).unaugmented(), None),
                swapped=swapped,
                width="kept",
                records=f"{role}_records",
            )
            for role, teacher in teachers.items()
        }

    def _seen_by(self, teacher: Teacher, data: PoseDataset) -> PoseDataset:
        return data if "mask" in teacher.reads else without_masks(data)

    def _cache(self, name: str, teacher: Teacher, data: PoseDataset, views: int | None) -> TargetCache:
        """A cache of views, or without them a canonical one."""
        mode = CANONICAL if views is None else None
        folder = self._out / name
        self._out.mkdir(parents=True, exist_ok=True)
        build_cache(
            *(folder, teacher, data),
            codecs=_CODECS,
            views=views or 1,
            prepare=data.prepare,
            fingerprint=mode,
            batch_size=self._batch_size,
            workers=self._workers,
            device=self._device,
        )
        made_of = cache_fingerprint(teacher, data, prepare=data.prepare, fingerprint=mode)
        return TargetCache.open(folder, expect=made_of)
