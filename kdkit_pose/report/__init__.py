"""The report of a comparison of runs: one self-contained page with a table, curves and drawn people.

Each network becomes a :class:`ReportedRun`:

>>> from kdkit_pose.report import ReportedRun, comparison, draw_loss_curves, write_report
>>> def run(name, ap, losses):
...     metrics = {"AP": ap, "AP50": 0.9, "APM": None, "boxes": "ground truth"}
...     lines = [{"step": 10 * i, "epoch": i, "stage": "supervised", "loss/total": loss, "val/AP": ap * i / 2}
...         for i, loss in enumerate(losses, start=1)]
...     return ReportedRun(name, "hrnet_w8_small", 120_000, metrics, lines, seconds=75.0)
>>> runs = [run("plain student", 0.5, [0.02, 0.01]), run("ODKD student", 0.512, [0.03, 0.02])]
>>> comparison(runs)
"The ODKD student's AP is 0.012 above the plain student's (one seed, so not a proof)."

Figures are RGB arrays with a caption, drawn by the ``draw_`` functions or by anything else:

>>> losses = draw_loss_curves(runs)
>>> losses.name, losses.image.dtype, losses.image.shape[2]
('loss_curves', dtype('uint8'), 3)

>>> import pathlib, tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     page = write_report(pathlib.Path(folder), title="A comparison", runs=runs, figures=[losses],
...         notes=["seed 0"])
...     page.name, (page.parent / "report" / "loss_curves.png").exists()
('report.html', True)
"""

from kdkit_pose.report.binarization import draw_binarization
from kdkit_pose.report.comparison import comparison
from kdkit_pose.report.curves import draw_learning_curve, draw_loss_curves
from kdkit_pose.report.figure import Figure
from kdkit_pose.report.people import draw_people
from kdkit_pose.report.run import ReportedRun
from kdkit_pose.report.write import write_report

__all__ = [
    "Figure",
    "ReportedRun",
    "comparison",
    "draw_binarization",
    "draw_learning_curve",
    "draw_loss_curves",
    "draw_people",
    "write_report",
]
