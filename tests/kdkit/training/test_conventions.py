"""Who says something else of the targets than the training data is refused before the run begins."""

from functools import partial

import pytest
import torch
from torch.utils.data import DataLoader, Subset

from kdkit import (
    ConfigurationError,
    Curriculum,
    Distill,
    Distiller,
    EnsembleTeacher,
    Epochs,
    Resize,
    Stage,
    Trainer,
    TransformedTeacher,
    losses,
)

SAID, OTHER = {"cells": "whole", "size": "8x6"}, {"cells": "half", "size": "8x6", "else": "free"}


@pytest.fixture
def start(toy, tmp_path):
    """Makes a trainer of data that say something, whose network and teacher may say something too."""

    def make(*, network=None, teacher=None, wrap=lambda teacher: teacher, metadata=None, subset=False):
        data = toy.pictures()
        data.convention = SAID
        student, taught = toy.student(), toy.primary()
        for module, said in ((student.module, network), (taught.module, teacher)):
            if said is not None:
                module.convention = said
        stage = Stage("only", [Distill(wrap(taught), "heatmap", losses.mse)], until=Epochs(1))
        return Trainer(
            Distiller(student, Curriculum(stage)),
            DataLoader(Subset(data, range(8)) if subset else data, 4),
            optimizer=partial(torch.optim.Adam, lr=1e-2),
            out=tmp_path / "run",
            metadata=metadata,
            cpu=True,
            progress=False,
        )

    return make


@pytest.mark.parametrize(
    ("said", "owner"),
    [
        ({"network": OTHER}, "the student's network .*tell it so first"),
        ({"teacher": OTHER}, "teacher 'primary' .*another teacher"),
        ({"metadata": OTHER}, "the metadata for the student's file "),
        ({"metadata": OTHER, "subset": True}, "the metadata for the student's file "),
    ],
)
def test_another_convention_is_refused(start, tmp_path, said, owner):
    with pytest.raises(ConfigurationError, match=owner) as caught:
        start(**said)
    assert "cells: half and whole;" in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_teacher_is_found_in_an_ensemble_and_behind_transformed_outputs(start, toy):
    def wrap(teacher):
        inner = EnsembleTeacher("inner", [toy.senior(), TransformedTeacher(teacher)])
        return EnsembleTeacher("outer", [inner])

    with pytest.raises(ConfigurationError, match="teacher 'primary' "):
        start(teacher=OTHER, wrap=wrap)
    start(teacher=SAID, wrap=wrap)


def test_a_teacher_of_transformed_inputs_is_not_compared(start):
    made = start(teacher=OTHER, wrap=lambda teacher: TransformedTeacher(teacher, inputs={"image": Resize(8, 6)}))
    assert made.fit().steps > 0


def test_who_says_the_same_or_nothing_is_welcome(start):
    made = start(network=SAID, teacher={"cells": "whole"}, metadata={"size": "8x6", "codec": "any"})
    assert made.fit().steps > 0


def test_checkpoints_carry_the_metadata(start, tmp_path):
    start(metadata={"model": "toy"}).fit()
    saved = torch.load(tmp_path / "run" / "checkpoints" / "last.pt", weights_only=True)
    assert saved["metadata"] == {"model": "toy"}
