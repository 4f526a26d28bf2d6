"""Does distillation help, which recipe, and which part of it: rows by seeds at equal epochs, compared in pairs.

Rows are recipes by name; the first that is named is what the others are compared with:

>>> from kdkit_pose.ablation import CORE, ROWS
>>> CORE[0], ROWS["odkd"].summary
('plain', 'the primary, then the senior; nothing binarized')

A `PoseStudy` trains them on persons of one's own, with teachers of one's own. `SyntheticBenchmark` makes one of
drawn people, whose every picture, label and teacher is fixed:

>>> from kdkit_pose.ablation import SMALL, SyntheticBenchmark, roles_of
>>> benchmark = SyntheticBenchmark("runs/benchmark", SMALL, labels="coco")
>>> roles_of(CORE)
('blind', 'primary', 'senior')
>>> study = benchmark.study(roles_of(CORE))  # doctest: +SKIP
>>> results = study.ablation(CORE, seeds=(0, 1, 2), out="runs/benchmark/core").run(print)  # doctest: +SKIP
"""

from kdkit_pose.ablation.benchmark import SyntheticBenchmark
from kdkit_pose.ablation.benchmark_size import FULL, LONG, SMALL, BenchmarkSize
from kdkit_pose.ablation.drawn_people import benchmark_people
from kdkit_pose.ablation.pairs import pairs_of
from kdkit_pose.ablation.row import Plan, PoseRow
from kdkit_pose.ablation.rows import CORE, CORE_BCE, ROWS, roles_of, rows_named
from kdkit_pose.ablation.shared_targets import SharedTargets
from kdkit_pose.ablation.split_evaluator import SplitEvaluator
from kdkit_pose.ablation.study import PoseStudy

__all__ = [
    "CORE",
    "CORE_BCE",
    "FULL",
    "LONG",
    "ROWS",
    "SMALL",
    "BenchmarkSize",
    "Plan",
    "PoseRow",
    "PoseStudy",
    "SharedTargets",
    "SplitEvaluator",
    "SyntheticBenchmark",
    "benchmark_people",
    "pairs_of",
    "roles_of",
    "rows_named",
]
