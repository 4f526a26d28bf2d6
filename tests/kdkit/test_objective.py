"""What an objective computes from prediction, target, region, fields and balance."""

import pytest
import torch
from torch import Tensor, nn

from kdkit import (
    Adaptor,
    Balance,
    BatchError,
    Binarize,
    ConfigurationError,
    Curriculum,
    Distiller,
    Imitate,
    Linear,
    Peers,
    Reached,
    Stage,
    Steps,
    Student,
    Supervise,
    Weighting,
    losses,
)
from kdkit.step_context import StepContext


class OwnPeak(Weighting):
    """Weighs each map by its highest value, and remembers what it was given."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def weigh(self, target: Tensor, context: StepContext) -> Tensor:
        self.seen.append(target)
        return target.amax((2, 3))

    def schedules(self) -> tuple[Linear, ...]:
        return (Linear(0.0, 1.0),)

    def __repr__(self) -> str:
        return "OwnPeak()"


def context(toy, **more: Tensor) -> StepContext:
    batch = {**toy.batch(), **more}
    prediction = torch.rand(batch["heatmap"].shape, generator=torch.Generator().manual_seed(0))
    return StepContext(batch, {}, {"heatmap": prediction}, lambda schedule: schedule(0.0))


def test_several_regions_are_multiplied(toy):
    now = context(toy)
    objective = Supervise("heatmap", losses.mse, region=("visible", lambda batch: batch["mask"]))
    error = (now.predictions["heatmap"] - now.batch["heatmap"]) ** 2
    weights = now.batch["visible"][:, :, None, None] * now.batch["mask"]
    torch.testing.assert_close(objective.sample_losses(now), (error * weights).mean((1, 2, 3)))
    relative = Supervise("heatmap", losses.mse, region=("visible", "mask"), reduction="weighted_mean")
    torch.testing.assert_close(relative.sample_losses(now).mean(), (error * weights).sum() / weights.sum())
    assert relative.reads == ("heatmap", "visible", "mask")
    assert "region=('visible', 'mask')" in repr(relative)


def test_no_region_one_region_and_a_tuple_of_one(toy):
    now = context(toy)
    plain, one = Supervise("heatmap", losses.mse), Supervise("heatmap", losses.mse, region="visible")
    assert torch.equal(plain.sample_losses(now), Supervise("heatmap", losses.mse, region=()).sample_losses(now))
    single = Supervise("heatmap", losses.mse, region=("visible",))
    assert torch.equal(one.sample_losses(now), single.sample_losses(now))


def test_a_weighting_sees_the_raw_target(toy):
    now, weighting = context(toy), OwnPeak()
    objective = Supervise("heatmap", losses.mse, region=weighting, transform=Binarize(0.5))
    target = now.batch["heatmap"]
    error = (now.predictions["heatmap"] - (target >= 0.5).float()) ** 2
    expected = (error * target.amax((2, 3), keepdim=True)).mean((1, 2, 3))
    torch.testing.assert_close(objective.sample_losses(now), expected)
    assert torch.equal(weighting.seen[0], target)
    assert "region=OwnPeak()" in repr(objective)


def test_a_weightings_schedule_needs_a_length_too(toy):
    objective = Supervise("heatmap", losses.mse, region=OwnPeak())
    assert [words for words, _ in objective.schedules()] == ["the weight", "the region"]
    with pytest.raises(ConfigurationError, match="the region of 'supervise/heatmap' changes over the stage"):
        Stage("endless", [objective], until=Reached("val/AP", 0.5))


@pytest.mark.parametrize("region", [3, ("visible", 0.5)])
def test_what_is_no_region_is_named(region):
    with pytest.raises(ConfigurationError, match=r"the region .* must be a batch field"):
        Supervise("heatmap", losses.mse, region=region)


def test_fields_are_handed_to_the_loss(toy):
    def scaled(prediction: Tensor, target: Tensor, *, scale: Tensor) -> Tensor:
        return (prediction - target) ** 2 * scale[:, None, None, None]

    scale = torch.tensor([1.0, 2.0, 0.0, 3.0])
    now = context(toy, scale=scale)
    plain = Supervise("heatmap", losses.mse).sample_losses(now)
    by_name = Supervise("heatmap", scaled, fields=("scale",))
    torch.testing.assert_close(by_name.sample_losses(now), plain * scale)
    renamed = Supervise("heatmap", scaled, fields={"scale": "id_scale"})
    with pytest.raises(BatchError, match="the loss reads the field 'id_scale'"):
        renamed.sample_losses(now)
    assert renamed.reads == ("heatmap", "id_scale")
    assert "fields={'scale': 'id_scale'}" in repr(renamed)


def test_a_loss_of_ones_own_that_fails_on_sizes_gets_the_remedy(toy):
    now = context(toy)
    small = StepContext({**now.batch, "heatmap": torch.zeros(4, 5, 4, 3)}, {}, now.predictions, now.value)
    with pytest.raises(BatchError, match=r"8x6 and the target's 4x3: add transform=Resize\(8, 6\)"):
        Supervise("heatmap", lambda prediction, target: prediction - target).sample_losses(small)


@pytest.mark.parametrize("shape", [(4, 8, 6), (4, 1, 8, 6), (1, 5, 8, 6)])
def test_a_loss_of_ones_own_that_spreads_one_over_the_other_is_refused(toy, shape):
    def charbonnier(prediction: Tensor, target: Tensor) -> Tensor:
        return ((prediction - target) ** 2 + 1e-6).sqrt()

    prediction = torch.zeros(4, 1 if len(shape) == 3 else 5, 8, 6)
    now = StepContext({"heatmap": torch.zeros(shape)}, {}, {"heatmap": prediction}, lambda schedule: 1.0)
    with pytest.raises(BatchError, match=r"the loss spread a prediction of shape .* give both one shape"):
        Supervise("heatmap", charbonnier).sample_losses(now)


def test_whole_numbers_that_are_spread_over_the_prediction_are_refused():
    def squares(prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target) ** 2

    depth = {"heatmap": torch.zeros(3, 4, 4, dtype=torch.int64)}
    now = StepContext(depth, {}, {"heatmap": torch.zeros(3, 1, 4, 4)}, lambda schedule: 1.0)
    with pytest.raises(BatchError, match="the loss spread a prediction"):
        Supervise("heatmap", squares).sample_losses(now)


def test_a_single_number_is_named_as_such_with_a_region_too():
    batch = {"heatmap": torch.zeros(3, 1, 4, 4), "visible": torch.ones(3)}
    now = StepContext(batch, {}, {"heatmap": torch.zeros(3, 1, 4, 4)}, lambda schedule: 1.0)
    objective = Supervise("heatmap", lambda prediction, target: prediction.mean(), region="visible")
    with pytest.raises(BatchError, match="returned a single number"):
        objective.sample_losses(now)


@pytest.mark.parametrize("samples", [1, 3, 4])
def test_what_a_loss_of_ones_own_does_with_labels_depends_on_no_batch_size(samples):
    def nll(logits: Tensor, label: Tensor) -> Tensor:
        return -logits.log_softmax(1).gather(1, label[:, None]).expand_as(logits)

    def columns(logits: Tensor, target: Tensor) -> Tensor:
        return (logits - target[:, None]) ** 2

    label, maps = torch.zeros(samples, dtype=torch.int64), torch.zeros(samples, 6, 6)
    outputs = {"logits": torch.zeros(samples, 4), "maps": maps[:, None]}
    now = StepContext({"label": label, "truth": maps}, {}, outputs, lambda schedule: 1.0)
    assert Supervise("logits", nll, target="label").sample_losses(now).shape == (samples,)
    assert Supervise("maps", columns, target="truth").sample_losses(now).shape == (samples,)


def test_relations_of_unequal_features_are_not_taken_for_spread_ones():
    now = StepContext({"f": torch.rand(8, 8)}, {}, {"f": torch.rand(8, 1)}, lambda schedule: 1.0)
    assert Supervise("f", losses.relational_distance).sample_losses(now).shape == (8,)


@pytest.mark.parametrize("classes", [2, 4])
def test_class_labels_are_not_taken_for_a_spread_target(classes):
    label, logits = torch.zeros(4, dtype=torch.int64), torch.zeros(4, classes)
    now = StepContext({"label": label}, {}, {"logits": logits}, lambda schedule: 1.0)
    assert Supervise("logits", losses.cross_entropy, target="label").sample_losses(now).shape == (4,)


def test_a_loss_of_ones_own_may_relate_maps_of_different_sizes(toy):
    def peaks(prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction.amax((2, 3)) - target.amax((2, 3))) ** 2

    now = context(toy)
    small = StepContext({**now.batch, "heatmap": torch.ones(4, 5, 4, 3)}, {}, now.predictions, now.value)
    assert Supervise("heatmap", peaks).sample_losses(small).shape == (4,)


def peers(toy) -> Student:
    return Student(Peers({"a": toy.network(seed=1), "b": toy.network(seed=2)}), outputs=("a", "b")).eval()


def test_imitation_learns_in_one_network_only(toy):
    student = peers(toy)
    stage = Stage("mutual", [Imitate("b", "a", losses.mse)], until=Steps(1))
    step = Distiller(student, Curriculum(stage))(toy.batch())
    step.total.backward()
    assert list(step.parts) == ["imitate/b/a"]
    outputs = student(toy.batch())
    torch.testing.assert_close(step.total.detach(), ((outputs["a"] - outputs["b"]) ** 2).mean().detach())
    assert all(value.grad is not None for value in student.module["a"].parameters() if value.requires_grad)
    assert all(value.grad is None for value in student.module["b"].parameters())


def test_imitating_several_is_imitating_their_mean():
    given = {name: torch.rand(2, 3, 4, 4) for name in "abc"}
    now = StepContext({}, {}, given, lambda schedule: schedule(0.0))
    objective = Imitate(("b", "c"), "a", losses.l1)
    expected = (given["a"] - (given["b"] + given["c"]) / 2).abs().mean((1, 2, 3))
    torch.testing.assert_close(objective.sample_losses(now), expected)
    assert objective.name == "imitate/b+c/a"
    uneven = StepContext({}, {}, {**given, "c": torch.zeros(2, 3, 2, 2)}, now.value)
    with pytest.raises(BatchError, match="only outputs of one shape"):
        objective.sample_losses(uneven)


def test_an_imitated_output_must_exist_and_be_another(toy):
    with pytest.raises(ConfigurationError, match="must imitate others"):
        Imitate("a", "a", losses.mse)
    with pytest.raises(ConfigurationError, match="must imitate others"):
        Imitate((), "a", losses.mse)
    stage = Stage("mutual", [Imitate("c", "a", losses.mse)], until=Steps(1))
    with pytest.raises(ConfigurationError, match="the student has no output 'c'"):
        Distiller(peers(toy), Curriculum(stage))


class Doubled(Balance):
    """Doubles every loss, by a number that trains."""

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[str, ...], dict[str, str]]] = []

    def bind(self, key: str, objectives: tuple[str, ...]) -> nn.Module:
        self.key, self.objectives = key, objectives
        return Number()

    def balanced(self, losses, student, predictions, outputs):
        self.calls.append((tuple(losses), dict(outputs)))
        return {name: value * predictions[self.key] for name, value in losses.items()}


class Number(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(2.0))

    def forward(self) -> Tensor:
        return self.value


def test_a_balance_acts_on_the_objectives_that_hold_it_before_their_weights(toy):
    balance = Doubled()
    objectives = [
        Supervise("heatmap", losses.mse, weight=3.0, balance=balance),
        Supervise("heatmap", losses.l1, name="l1", balance=balance, weight=0.0),
        Supervise("heatmap", losses.l1, name="free"),
    ]
    student = toy.student().eval()
    distiller = Distiller(student, Curriculum(Stage("one", objectives, until=Steps(1))))
    step = distiller(toy.batch())
    means = {name: value.mean() for name, value in step.samples.items()}
    torch.testing.assert_close(step.parts["supervise/heatmap"], means["supervise/heatmap"] * 6)
    torch.testing.assert_close(step.parts["free"], means["free"])
    assert balance.objectives == ("supervise/heatmap", "l1")
    assert balance.calls == [(("supervise/heatmap",), {"supervise/heatmap": "heatmap"})]
    step.total.backward()
    assert student.adaptors["balance:0"].value.grad is not None
    assert not any("balance" in name for name in student.module.state_dict())
    # A second distiller of the same student binds anew.
    Distiller(student, Curriculum(Stage("one", objectives, until=Steps(1))))
    assert [name for name in student.outputs if "balance" in name] == ["balance:0"]


def test_what_is_no_balance_is_named():
    with pytest.raises(ConfigurationError, match="is not a Balance"):
        Supervise("heatmap", losses.mse, balance="magnitude")


def test_a_distiller_without_the_balance_leaves_nothing_of_it_beside_the_student(toy):
    student = toy.student()
    with_balance = Stage("one", [Supervise("heatmap", losses.mse, balance=Doubled())], until=Steps(1))
    Distiller(student, Curriculum(with_balance))
    assert list(student.adaptors) == ["balance:0"]
    Distiller(student, Curriculum(Stage("one", [Supervise("heatmap", losses.mse)], until=Steps(1))))
    assert list(student.adaptors) == []
    with pytest.raises(ConfigurationError, match="no dot or colon"):
        student.attach("balance:0", Adaptor("heatmap", nn.Identity()))
