"""The loops that kdkit is compared with compute what it computes."""

import copy

import pytest
import torch
from torch import nn

from benchmarks.reference.cached_discs import Discs, cached_discs
from benchmarks.reference.eager_loop import eager_step
from benchmarks.reference.limit import best_student_step, best_teacher
from benchmarks.reference.minimal_loop import minimal_step
from benchmarks.reference.random_batches import random_batches
from benchmarks.reference.trainer_step import one_stage, trainer_step
from kdkit import CachedTeacher, Distiller, ModuleTeacher, Student

SGD = {"lr": 0.5}


class Fusion(nn.Module):
    """Heatmaps [B, 17, H/4, W/4] of an image and a mask."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(4, 17, 4, stride=4)

    def forward(self, image, mask):
        return self.layer(torch.cat([image, mask], dim=1))


@pytest.fixture
def networks():
    torch.manual_seed(0)
    return nn.Conv2d(3, 17, 4, stride=4), Fusion().eval().requires_grad_(False)


@pytest.fixture
def batches():
    return random_batches(3, 2, (24, 32))


def distiller(student, teacher=None):
    if teacher is not None:
        teacher = ModuleTeacher("senior", copy.deepcopy(teacher), ("image", "mask"), "heatmap")
    return Distiller(Student(student, "image", "heatmap"), one_stage(teacher))


@pytest.mark.parametrize("taught", [False, True])
def test_the_minimal_loop_learns_what_the_distiller_learns(networks, batches, taught, tmp_path):
    student, teacher = networks
    ours = copy.deepcopy(student)
    kdkit = distiller(ours, teacher if taught else None)
    expected = float(copy.deepcopy(kdkit)(batches[0]).total.detach())
    run = trainer_step(kdkit, batches, tmp_path / "run", optimizer=lambda p: torch.optim.SGD(p, **SGD), cpu=True)
    optimizer = torch.optim.SGD(student.parameters(), **SGD)
    step = minimal_step(student, optimizer, teacher if taught else None, teacher_inputs=("image", "mask"))
    found = []
    for batch in batches:
        found.append(float(step(batch)))
        run(batch)
    assert found[0] == pytest.approx(expected, rel=1e-6)
    assert kdkit.curriculum.steps == 3
    for mine, theirs in zip(ours.parameters(), student.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("taught", [False, True])
def test_the_eager_loop_halves_the_loss_as_the_reference_does(networks, batches, taught):
    student, teacher = networks
    teacher = teacher if taught else None
    one, other = copy.deepcopy(student), copy.deepcopy(student)
    options = {"teacher_inputs": ("image", "mask")}
    minimal = minimal_step(one, torch.optim.SGD(one.parameters(), **SGD), teacher, **options)
    eager = eager_step(other, torch.optim.SGD(other.parameters(), **SGD), teacher, **options)
    # Half of the squared error; without a teacher the truth has the whole weight.
    factor = 0.5 if taught else 1.0
    assert float(eager(batches[0])) == pytest.approx(factor * float(minimal(batches[0])), rel=1e-5)


def test_the_limit_is_of_the_same_networks(networks, batches):
    student, teacher = networks
    one, other = copy.deepcopy(student), copy.deepcopy(student)
    minimal = minimal_step(one, torch.optim.Adam(one.parameters(), lr=1e-3))
    best = best_student_step(other, precision=None, compile_mode=None)
    for batch in batches:
        torch.testing.assert_close(best(batch), minimal(batch))
    targets = best_teacher(teacher, ("image", "mask"), precision=torch.float32, compile_mode=None)
    torch.testing.assert_close(targets(batches[0]), teacher(batches[0]["image"], batches[0]["mask"]))
    cast = best_teacher(teacher, ("image", "mask"), compile_mode=None)(batches[0])
    assert cast.dtype == torch.float32
    torch.testing.assert_close(cast, targets(batches[0]), atol=0.05, rtol=0.05)
    assert next(teacher.parameters()).dtype == torch.float32


def test_random_batches_differ_and_come_again():
    first, second = random_batches(2, 3, (24, 32), channels_last=True)
    again = random_batches(1, 3, (24, 32))[0]
    assert {name: list(value.shape) for name, value in first.items()} == {
        "image": [3, 3, 32, 24],
        "mask": [3, 1, 32, 24],
        "heatmap": [3, 17, 8, 6],
        "visible": [3, 17],
        "id": [3],
        "view": [3],
    }
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["image"], second["image"])
    assert first["image"].is_contiguous(memory_format=torch.channels_last)
    assert first["mask"].unique().tolist() == [0.0, 1.0]
    assert torch.cat([first["id"], second["id"]]).tolist() == list(range(6))


def test_cached_discs_come_back_as_the_teacher_shows_them(tmp_path):
    batch = random_batches(1, 5, (48, 64))[0]
    discs = Discs((12, 16)).targets(batch)["heatmap"]
    teacher = CachedTeacher("discs", cached_discs(tmp_path, 5, (12, 16)))
    assert torch.equal(teacher.targets(batch)["heatmap"], discs)
    assert discs.shape == (5, 17, 16, 12)
    # A whole disc of this radius has 21 cells; those at the border have fewer.
    assert discs.sum((-2, -1)).max() == 21
    assert discs.sum((-2, -1)).min() >= 6
    assert not torch.equal(discs[0], discs[1])
