"""Does it help, by how much, and which part of it? Variants by seeds, trained at equal steps, compared in pairs.

A variant trains with a seed in a folder, and says what came out. Here a student that learns from noise alone is
compared with one that also has a teacher:

>>> import tempfile, torch
>>> from functools import partial
>>> from kdkit import Curriculum, Distill, Distiller, Epochs, ModuleTeacher, Stage, Student, Supervise, Trainer
>>> from kdkit import losses
>>> from kdkit.ablation import Ablation, Variant, run_trial
>>> batches = [{"image": torch.rand(4, 3, 8, 8), "heatmap": torch.rand(4, 5, 8, 8)} for _ in range(3)]
>>> teacher = ModuleTeacher("teacher", torch.nn.Conv2d(3, 5, 3, padding=1), "image", "heatmap")
>>> @torch.no_grad()
... def evaluate(network):
...     return {"error": float((network(batches[0]["image"]) - 0.5).square().mean())}
>>> def train(seed, folder, share):
...     torch.manual_seed(seed)
...     student = Student(torch.nn.Conv2d(3, 5, 3, padding=1), "image", "heatmap")
...     truth = Supervise("heatmap", losses.mse, weight=1 - share)
...     taught = Distill(teacher, "heatmap", losses.mse, weight=share)
...     trainer = Trainer(
...         Distiller(student, Curriculum(Stage("all", [truth, taught], until=Epochs(2)))),
...         batches, optimizer=partial(torch.optim.SGD, lr=0.1), out=folder,
...         evaluate=evaluate, mode="min", cpu=True, progress=False,
...     )
...     return run_trial(trainer, samples_per_step=4)
>>> folder = tempfile.TemporaryDirectory()
>>> variants = [Variant("plain", partial(train, share=0.0)), Variant("taught", partial(train, share=0.5))]
>>> results = Ablation(variants, seeds=(0, 1, 2), out=folder.name, metric="error", mode="min").run()
>>> [(row.name, row.metric.count, row.steps, row.teacher_passes) for row in results.rows]
[('plain', 3, 6, 0), ('taught', 3, 6, 24)]
>>> results.difference("taught", "plain").count
3
>>> folder.cleanup()

``print(results)`` shows means, intervals, paired differences and cost; :func:`draw_differences` and
:func:`draw_curves` draw them. ``results.json`` in the study's folder holds every number, and what they were made
with; :meth:`Results.from_json` reads it again.
"""

from kdkit.ablation.ablation import Ablation
from kdkit.ablation.figures import draw_curves, draw_differences
from kdkit.ablation.interval import Interval, mean_interval
from kdkit.ablation.report import write_report
from kdkit.ablation.results import Results, Row
from kdkit.ablation.significance import holm, p_value
from kdkit.ablation.table import results_table
from kdkit.ablation.trial import Trial, run_trial, trial_of
from kdkit.ablation.variant import Train, Variant

__all__ = [
    "Ablation",
    "Interval",
    "Results",
    "Row",
    "Train",
    "Trial",
    "Variant",
    "draw_curves",
    "draw_differences",
    "holm",
    "mean_interval",
    "p_value",
    "results_table",
    "run_trial",
    "trial_of",
    "write_report",
]
