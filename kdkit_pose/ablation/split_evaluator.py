"""One evaluation of several parts of the validation pictures."""

from collections.abc import Collection, Mapping
from typing import Any

from torch import nn

from kdkit_pose.evaluation import Evaluator


class SplitEvaluator(Evaluator):
    """An evaluator that also gives the AP of parts of its pictures: ``{"val/AP": 0.5, "val/AP_crowded": 0.4}``.

    The network looks at each person once.

    Args:
        *arguments: as of :class:`kdkit_pose.Evaluator`.
        splits: for each part its pictures' ids, by name.
        **options: as of :class:`kdkit_pose.Evaluator`.
    """

    def __init__(self, *arguments: Any, splits: Mapping[str, Collection[int]], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._splits = {name: frozenset(pictures) for name, pictures in splits.items()}

    def __call__(self, module: nn.Module) -> dict[str, float]:
        """The metrics of ``module`` as of :class:`kdkit_pose.Evaluator`, and ``AP_<part>`` of each part."""
        results = self.results(module)
        metrics: dict[str, Any] = {**self.score(results)}
        for name, pictures in self._splits.items():
            metrics[f"AP_{name}"] = self.score_pictures(results, pictures)["AP"]
        return {self._prefix + name: value for name, value in metrics.items() if isinstance(value, float)}
