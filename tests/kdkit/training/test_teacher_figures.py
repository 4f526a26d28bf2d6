"""What was measured of a teacher stands in the run's log, and nowhere else."""

import json

import torch

from kdkit import Curriculum, Distill, Distiller, Epochs, ModuleTeacher, Stage, Student, Trainer, losses

from ..conftest import network


class Measured(ModuleTeacher):
    difference = 0.25

    @property
    def figures(self):
        return {f"agreement/{self.name}/heatmap": self.difference}

    def __str__(self) -> str:
        return f"{self.name} is off by {self.difference}"


def fit(toy, out, epochs: int) -> list[dict[str, object]]:
    teacher = Measured("senior", network(seed=1), "image", "heatmap")
    stage = Stage("only", [Distill(teacher, "heatmap", losses.mse)], until=Epochs(epochs))
    distiller = Distiller(Student(network(), "image", "heatmap"), Curriculum(stage))
    optimizer = torch.optim.SGD(distiller.student.parameters(), lr=0.1)
    Trainer(distiller, toy.loader(), optimizer=optimizer, out=out, cpu=True).fit()
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_the_first_line_has_a_teachers_figures(toy, tmp_path, capsys) -> None:
    first, second = fit(toy, tmp_path / "run", epochs=2)
    assert first["agreement/senior/heatmap"] == 0.25
    assert "agreement/senior/heatmap" not in second
    assert "senior is off by 0.25" in capsys.readouterr().err


def test_a_run_is_gone_on_with_where_they_differ(toy, tmp_path, monkeypatch) -> None:
    fit(toy, tmp_path / "run", epochs=1)
    monkeypatch.setattr(Measured, "difference", 0.5)
    (line,) = fit(toy, tmp_path / "run", epochs=1)
    assert line["agreement/senior/heatmap"] == 0.25
