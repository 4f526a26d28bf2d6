"""One of the things that an ablation compares."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kdkit.ablation.trial import Trial
from kdkit.errors import ConfigurationError

Train = Callable[[int, Path], Trial]
"""Trains with a seed in a folder, or goes on there, and returns the trial. Everything that is drawn at random must
follow from the seed, and the same seed must give every variant the same initial student and the same samples."""


@dataclass(frozen=True)
class Variant:
    """A recipe, a network or a setting, trained anew for each seed.

    Args:
        name: unique; also the name of its folder.
        train: trains it.
        budget: how many times the baseline's optimizer steps it takes, and samples; what takes other numbers is
            refused, so that nothing wins by having trained for longer unsaid.
        summary: a line on what it is.
        config: what it is made of, of plain JSON types, such as its teachers' fingerprints: a trial that is there
            counts only for the same.

    Raises:
        ConfigurationError: if the name is no name of a folder, or the budget is not above 0.
    """

    name: str
    train: Train
    budget: float = 1.0
    summary: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name or self.name.startswith(".") or Path(self.name).name != self.name:
            raise ConfigurationError(f"a variant's name is also its folder's, {self.name!r} cannot be one")
        if not self.budget > 0:
            raise ConfigurationError(f"variant '{self.name}': budget is {self.budget}, it must be above 0")

    def to_config(self) -> dict[str, Any]:
        """Return what it is made of, as a file holds it."""
        config: dict[str, Any] = json.loads(json.dumps({**self.config, "budget": self.budget}))
        return config
