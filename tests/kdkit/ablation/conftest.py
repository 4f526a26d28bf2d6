from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from kdkit.ablation import Ablation, Trial, Variant


class Trainings:
    """Trainings that cost nothing: what a variant gives with a seed is looked up."""

    def __init__(self, values: dict[str, dict[int, float]], steps: dict[str, int]) -> None:
        self.values, self.steps = values, steps
        self.done: list[tuple[str, int]] = []

    def train(self, seed: int, folder: Path, name: str) -> Trial:
        self.done.append((name, seed))
        steps = self.steps.get(name, 100)
        value = self.values[name][seed]
        return Trial(
            {"AP": value}, steps, 8 * steps, {"senior": 8 * steps}, 1.0, [(steps // 2, {"AP": value / 2})]
        )

    def variants(self, **budgets: float) -> list[Variant]:
        return [Variant(name, partial(self.train, name=name), budgets.get(name, 1.0)) for name in self.values]


VALUES = {
    "plain": {0: 0.30, 1: 0.40, 2: 0.35},
    "odkd": {0: 0.32, 1: 0.42, 2: 0.37},
    "longer": {0: 0.31, 1: 0.39, 2: 0.36},
}


@pytest.fixture
def trainings() -> Trainings:
    return Trainings(VALUES, {"longer": 200})


@pytest.fixture
def ablation(trainings: Trainings, tmp_path: Path) -> Callable[..., Ablation]:
    def make(seeds: tuple[int, ...] = (0, 1, 2), budget: float = 2.0, **options: object) -> Ablation:
        variants = trainings.variants(longer=budget)
        return Ablation(variants, seeds, tmp_path / "study", metric="AP", **options)

    return make
