"""Training: it learns, from annotated masks alone, and goes on after an interruption as if there were none."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import default_collate

from kdkit import ConfigurationError
from kdkit.errors import DataError, RunFolderError
from kdkit_pose import CocoKeypoints, masks
from kdkit_pose.data import Augment, loader
from kdkit_pose.geometry import apply_affine, invert_affine
from kdkit_pose.masks.persons import masked_persons
from kdkit_pose.masks.scores import intersection_over_union
from kdkit_pose.models import read_metadata

from .conftest import HELD_OUT, SETTINGS, TRAIN, Trained, make_predictor


def test_it_learns_what_no_constant_mask_knows(trained: Trained) -> None:
    scores = trained.scores
    assert scores.iou > scores.box + 0.05
    assert scores.box > scores.ones
    assert scores.persons == len(masked_persons(_train()))


def _train(**options: Any) -> CocoKeypoints:
    return CocoKeypoints(
        TRAIN.annotations(), TRAIN.picture, codec=masks.MaskPredictor(input_size=(64, 64)).codec, **options
    )


def test_the_file_says_how_good_it_is(trained: Trained) -> None:
    again = masks.MaskEvaluator(loader(masked_persons(_train()), 5)).scores(trained.loaded.predictor)
    assert again.iou == pytest.approx(trained.scores.iou, abs=1e-6)
    assert trained.loaded.source.iou == trained.scores.iou
    assert trained.loaded.source.persons == trained.scores.persons
    assert float(read_metadata(trained.file)["iou_of_box"]) == trained.scores.box
    assert trained.loaded.source.box == trained.scores.box


def test_the_scores_are_those_of_a_slow_reference(trained: Trained, people: Callable) -> None:
    data, predictor = people(HELD_OUT), trained.loaded.predictor
    boxes = {annotation["id"]: annotation["bbox"] for annotation in HELD_OUT.annotations()["annotations"]}
    ious: list[list[float]] = []
    for row in range(len(data)):
        truth = data[row]["mask"][0] >= 0.5
        box = torch.zeros_like(truth)
        matrix = data.codec.affine(data[row]["center"].numpy(), data[row]["scale"].numpy())
        x, y, width, height = boxes[data.annotation_ids[row]]
        for v in range(64):
            for u in range(64):
                px, py = apply_affine(invert_affine(matrix), [u, v])
                across = max(x, 0) <= px <= min(x + width, 127)
                box[v, u] = bool(across and max(y, 0) <= py <= min(y + height, 95))
        drawn = masked_persons(data)[row]["box"]
        assert (drawn[0].bool() != box).float().mean() < 0.002  # rounding, at edges that meet a pixel's middle
        found = predictor.probability(data[row]["image"][None], drawn[None])[0, 0] >= predictor.threshold
        ious.append([float((mask & truth).sum() / (mask | truth).sum()) for mask in (found, truth | True, box)])
    scores = masks.MaskEvaluator(loader(masked_persons(data), 3)).scores(predictor)
    iou, ones, filled = torch.tensor(ious).mean(0).tolist()
    assert (scores.iou, scores.ones) == pytest.approx((iou, ones), abs=1e-5)
    assert scores.box == pytest.approx(filled, abs=0.002)


def test_two_empty_masks_agree() -> None:
    empty = torch.zeros(1, 4, dtype=torch.bool)
    assert intersection_over_union(empty, empty) == 1
    assert intersection_over_union(empty, ~empty) == 0


def test_the_box_goes_where_the_mask_goes(people: Callable) -> None:
    data = people(TRAIN, augment=Augment(rotation_probability=1.0))
    persons = masked_persons(data)
    inside = []
    for row in range(len(persons)):
        for view in range(3):
            sample = persons[row, view]
            assert torch.equal(sample["mask"], data[row, view]["mask"])
            inside.append(float((sample["mask"] * sample["box"]).sum() / sample["mask"].sum().clamp(min=1)))
            assert sample["box"].mean() > 0
    # Boxes hold the mask wholly; only its soft edge may reach out.
    assert min(inside) > 0.9


def test_persons_given_a_mask_of_ones_are_neither_learned_nor_scored(people: Callable) -> None:
    content = HELD_OUT.annotations()
    del content["annotations"][0]["segmentation"]
    data = CocoKeypoints(content, HELD_OUT.picture, codec=people(HELD_OUT).codec)
    ids = [int(sample["id"]) for sample in map(masked_persons(data).__getitem__, range(len(data) - 1))]
    assert ids == list(data.annotation_ids[1:])
    assert len(masked_persons(data)) == len(data) - 1


def test_without_annotated_masks_there_is_nothing_to_learn(
    trained: Trained, people: Callable, unmasked: dict, new_predictor: Callable, tmp_path: Path
) -> None:
    train, codec = people(TRAIN), people(TRAIN).codec
    bare = CocoKeypoints(unmasked, HELD_OUT.picture, codec=codec)
    with pytest.raises(DataError, match="none of the"):
        masks.fit_masks(new_predictor(), bare, train, tmp_path / "run", SETTINGS, epochs=1)
    predicted = masks.predict_masks(trained.loaded, unmasked, HELD_OUT.picture)
    filled = CocoKeypoints(unmasked, HELD_OUT.picture, codec=codec, predicted_masks=predicted)
    with pytest.raises(DataError, match="annotated masks alone"):
        masks.fit_masks(new_predictor(), train, filled, tmp_path / "run", SETTINGS, epochs=1)
    assert not (tmp_path / "run").exists()


def test_what_does_not_fit_is_said_before_the_folder_is_made(
    people: Callable, new_predictor: Callable, tmp_path: Path
) -> None:
    data = people(TRAIN)
    with pytest.raises(ConfigurationError, match="crops of"):
        masks.fit_masks(new_predictor(input_size=(96, 64)), data, data, tmp_path / "run", SETTINGS, epochs=1)
    varied = people(TRAIN, augment=masks.AUGMENT)
    with pytest.raises(ConfigurationError, match="leave augment out"):
        masks.fit_masks(new_predictor(), data, varied, tmp_path / "run", SETTINGS, epochs=1)
    with pytest.raises(ConfigurationError, match="batch size is 1000"):
        masks.fit_masks(
            new_predictor(), data, data, tmp_path / "run", replace(SETTINGS, batch_size=1000), epochs=1
        )
    with pytest.raises(ConfigurationError, match="MaskPredictor"):
        masks.MaskEvaluator([default_collate([data[0]])])(torch.nn.Conv2d(3, 1, 1))
    assert not (tmp_path / "run").exists()


def test_a_resumed_run_equals_one_never_stopped(
    people: Callable, new_predictor: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = replace(SETTINGS, evaluate_every=1)

    def fit(out: str, epochs: int = 3) -> bytes:
        train = people(TRAIN, augment=masks.AUGMENT)
        predictor = new_predictor(architecture="pspnet")
        masks.fit_masks(predictor, train, people(HELD_OUT), tmp_path / out, every, epochs=epochs)
        return (tmp_path / out / "student.safetensors").read_bytes()

    whole = fit("whole")
    measure = masks.MaskEvaluator.__call__
    calls: list[int] = []

    def interrupted(self: masks.MaskEvaluator, module: torch.nn.Module) -> dict[str, float]:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return measure(self, module)

    monkeypatch.setattr(masks.MaskEvaluator, "__call__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit("stopped")
    assert not (tmp_path / "stopped" / "student.safetensors").exists()
    assert fit("stopped") == whole
    assert fit("stopped") == whole  # a finished run, once more
    with pytest.raises(RunFolderError, match="another run"):
        fit("stopped", epochs=4)


def test_batches_that_an_architecture_cannot_learn_from_are_refused_at_once(tmp_path: Path) -> None:
    data, settings = _train(), replace(SETTINGS, batch_size=1)
    predictor = make_predictor(architecture="deeplabv3plus")
    with pytest.raises(ConfigurationError, match="'deeplabv3plus' cannot be trained on one person at a time"):
        masks.fit_masks(predictor, data, data, tmp_path / "run", settings, epochs=1)
    assert not (tmp_path / "run").exists()
