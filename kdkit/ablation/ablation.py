"""Variants by seeds, each trained once, at equal steps and equal samples."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from kdkit.ablation.kept_trial import read_object, read_trial
from kdkit.ablation.report import study_report, write_report
from kdkit.ablation.results import Results
from kdkit.ablation.trial import Trial
from kdkit.ablation.variant import Variant
from kdkit.claims import claim
from kdkit.errors import ConfigurationError, RunFolderError
from kdkit.files import write_atomically
from kdkit.provenance import provenance

Progress = Callable[[str], object]


class Ablation:
    """Trains every variant with every seed, each in a folder of its own, and compares them.

    What is finished is never trained again, so that a study which was stopped, or is given another seed or
    another variant, goes on. Of the variants that are named, the results hold every seed that was ever trained in
    the folder. Several processes may be at one study at once: each takes trainings that nobody is
    at.

    Args:
        variants: what is compared; the first is the baseline, unless another is named.
        seeds: at least three tell something.
        out: the study's folder.
        metric: the metric that decides; larger is better unless ``mode`` is ``min``.
        baseline: the variant that the others are compared with.
        mode: whether a larger (``max``) or smaller (``min``) metric is better; only said in tables and figures.
        config: what all variants have in common, of plain JSON types: a study is only gone on with under the same.
        pairs: (variant, other) of differences that the report gives beside those to the baseline.
        about: what else the report says, of plain JSON types, such as the teachers' own metrics. It does not name
            the study: another one may go on with it.

    Raises:
        ConfigurationError: if names repeat, there are no seeds or one twice, or no such baseline.
    """

    def __init__(
        self,
        variants: Sequence[Variant],
        seeds: Sequence[int],
        out: str | Path,
        *,
        metric: str,
        baseline: str | None = None,
        mode: str = "max",
        config: Mapping[str, Any] | None = None,
        pairs: Sequence[tuple[str, str]] = (),
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.variants, self.seeds, self.out = tuple(variants), tuple(seeds), Path(out)
        self.metric, self.mode = metric, mode
        names = [variant.name for variant in self.variants]
        require_grid(names, self.seeds)
        if mode not in ("max", "min"):
            raise ConfigurationError(f"mode is {mode!r}, it must be 'max' or 'min'")
        self.baseline = names[0] if baseline is None else baseline
        if self.baseline not in names:
            raise ConfigurationError(f"the baseline '{self.baseline}' is none of the variants {names}")
        self._config = json.loads(json.dumps({"metric": metric, **(config or {})}))
        self._pairs, self._about = tuple(pairs), dict(about or {})

    def run(self, progress: Progress | None = None) -> Results:
        """Train what is not trained yet, seed by seed, and return what there is then.

        After each training, and at the end, :meth:`report` is written to ``results.json`` in the study's folder.
        What another process is at is left to it: the results are whole when the last process returns.

        Args:
            progress: called with a line for every training that begins or was there.

        Raises:
            RunFolderError: if the folder holds a study of another configuration, or a training of another variant
                of the same name.
            ConfigurationError: if a training took other steps or samples than it is allowed, or did not give the
                metric.
        """
        say = progress or (lambda line: None)
        self._open()
        self.results()  # so that what is there and does not fit is noticed before anything is trained
        provenance()  # of the code as it is loaded; files may change while it trains
        for seed, variant in self._grid():
            path = self.trial_path(variant.name, seed)
            path.parent.mkdir(parents=True, exist_ok=True)
            with claim(path, wait=False) as claimed:
                if not claimed:
                    say(f"{variant.name}, seed {seed}: another process is at it")
                elif path.exists():
                    say(f"{variant.name}, seed {seed}: is there")
                else:
                    say(f"{variant.name}, seed {seed}: begins")
                    self._keep(path, variant, seed, variant.train(seed, path.parent / "run"))
                    self._write_results()  # so that unequal lengths are noticed at once
        if others := self._not_named():
            say(f"not named, and so not in the results: {', '.join(others)}")
        return self._write_results()

    def results(self) -> Results:
        """Return what is finished so far.

        Raises:
            ConfigurationError: if the trials' steps or samples are not what the variants are allowed.
            RunFolderError: if a trial's file cannot be used, or is of another variant of the same name.
        """
        trials: dict[str, dict[int, Trial]] = {variant.name: {} for variant in self.variants}
        for content in self._kept():
            trials[content["variant"]][content["seed"]] = Trial.from_json(content["trial"])
        results = Results(trials, self.metric, self.baseline, self.mode)
        self._require_equal_length(results)
        return results

    def report(self) -> dict[str, Any]:
        """Return all that is known of the study so far, in plain JSON types.

        It is what :meth:`Results.to_json` gives, rows, intervals, trials and their curves, together with the
        ``config``, ``seeds`` and ``variants``; ``differences``, each with an interval and a p value; ``made``:
        machine, versions, commit and dates, and which trials are of them; and what the study was told ``about``.
        :meth:`Results.from_json` takes it.

        Raises:
            ConfigurationError: if the trials' steps or samples are not what the variants are allowed.
        """
        return study_report(
            self.results(),
            config=self._config,
            variants={one.name: {"summary": one.summary, "config": one.to_config()} for one in self.variants},
            seeds=self._known_seeds(),
            pairs=self._pairs,
            kept=self._kept(),
            about=self._about,
        )

    def trial_path(self, variant: str, seed: int) -> Path:
        """Return where a training's outcome is kept; the training itself is in ``run/`` beside it."""
        return self.out / variant / f"seed-{seed}" / "trial.json"

    def _grid(self) -> Iterator[tuple[int, Variant]]:
        # Seed by seed, so that a study that is stopped has whole pairs to compare.
        return ((seed, variant) for seed in self.seeds for variant in self.variants)

    def _kept(self) -> Iterator[dict[str, Any]]:
        """The contents of the files of finished trials."""
        for seed in self._known_seeds():
            for variant in self.variants:
                if (path := self.trial_path(variant.name, seed)).exists():
                    content = read_trial(path, variant.name, seed, self.metric)
                    _require_same_variant(path, content.get("config"), variant)
                    yield content

    def _not_named(self) -> list[str]:
        """Variants of finished trials that are not among those of this study."""
        found = {path.parent.parent.name for path in self.out.glob("*/seed-*/trial.json")}
        return sorted(found - {variant.name for variant in self.variants})

    def _known_seeds(self) -> tuple[int, ...]:
        """The seeds that are asked for, and those of trainings that are there."""
        there = {
            int(number)
            for variant in self.variants
            for path in (self.out / variant.name).glob("seed-*/trial.json")
            if (number := path.parent.name.removeprefix("seed-")).isdecimal()
        }
        return tuple(sorted({*self.seeds, *there}))

    def _write_results(self) -> Results:
        path = self.out / "results.json"
        # Of several processes none overwrites what another one knew later.
        with claim(path, wait=True):
            report = self.report()
            write_report(report, path)
        return Results.from_json(report)

    def _open(self) -> None:
        path = self.out / "study.json"
        self.out.mkdir(parents=True, exist_ok=True)
        with claim(path, wait=True):
            if not path.exists():
                write_atomically(path, lambda file: file.write(json.dumps(self._config, indent=1).encode()))
        found = read_object(path)
        differing = sorted(
            key for key in found.keys() | self._config.keys() if found.get(key) != self._config.get(key)
        )
        if differing:
            told = "; ".join(
                f"{key}: there {found.get(key)!r}, now {self._config.get(key)!r}" for key in differing
            )
            raise RunFolderError(
                f"'{self.out}' holds a study of another configuration ({told}): give another folder, or the same "
                f"configuration"
            )

    def _keep(self, path: Path, variant: Variant, seed: int, trial: Trial) -> None:
        if self.metric not in trial.metrics:
            raise ConfigurationError(
                f"variant '{variant.name}' gave {sorted(trial.metrics)}, and not the metric '{self.metric}'"
            )
        if not math.isfinite(value := trial.metrics[self.metric]):
            raise ConfigurationError(
                f"variant '{variant.name}', seed {seed}, gave {self.metric} = {value}: look at the run in "
                f"'{path.parent}'; nothing of it is kept in the study"
            )
        content = {
            "variant": variant.name,
            "summary": variant.summary,
            "config": variant.to_config(),
            "seed": seed,
            "trial": trial.to_json(),
            "date": date.today().isoformat(),
            **provenance(),
        }
        write_atomically(path, lambda file: file.write(json.dumps(content, indent=1).encode()))

    def _require_equal_length(self, results: Results) -> None:
        budgets = {variant.name: variant.budget for variant in self.variants}
        for seed, reference in results.trials[self.baseline].items():
            batch = math.ceil(reference.samples / max(reference.steps, 1))
            for name, trials in results.trials.items():
                if seed not in trials:
                    continue
                ratio = budgets[name] / budgets[self.baseline]
                trial, steps, samples = trials[seed], round(reference.steps * ratio), reference.samples * ratio
                if trial.steps == steps and abs(trial.samples - samples) <= batch:  # a last batch may be smaller
                    continue
                raise ConfigurationError(
                    f"variant '{name}', seed {seed}, took {trial.steps} steps of {trial.samples} samples in all, "
                    f"and not {steps} of {samples:g}: to compare at equal length, give every variant as many "
                    f"steps and samples as '{self.baseline}', or say budget=... of what is longer on purpose; "
                    f"to train it otherwise, remove '{self.trial_path(name, seed).parent}' first"
                )


def require_grid(names: Sequence[str], seeds: Sequence[int]) -> None:
    """Require two variants or more and one seed or more, none twice: before anything that takes long.

    Raises:
        ConfigurationError: if it is otherwise.
    """
    if len(names) < 2 or len(set(names)) < len(names):
        raise ConfigurationError(
            f"an ablation compares two variants or more of different names, found {list(names)}"
        )
    if not seeds or len(set(seeds)) < len(seeds):
        raise ConfigurationError(f"an ablation needs seeds, each once, found {list(seeds)}")


def _require_same_variant(path: Path, found: Any, variant: Variant) -> None:
    """Require that a kept trial is of the same variant, and not of another one of its name."""
    # A budget is what was allowed, and no part of what was trained.
    there, now = _without_budget(found), _without_budget(variant.to_config())
    if there != now:
        raise RunFolderError(
            f"'{path}' is of another variant '{variant.name}' (there {there}, now {now}): give another folder, or "
            f"another name"
        )


def _without_budget(config: Any) -> Any:
    return {key: value for key, value in config.items() if key != "budget"} if isinstance(config, dict) else config
