import math
from functools import partial
from itertools import permutations

import pytest
import torch
from torch import Tensor, nn

from kdkit import (
    Batch,
    BatchError,
    CheckpointError,
    ConfigurationError,
    Curriculum,
    Distill,
    Distiller,
    EnsembleTeacher,
    Epochs,
    ModuleTeacher,
    Stage,
    Teacher,
    losses,
)
from kdkit.weighting import Agreement, Confidence

SHAPE = (3, 5, 4, 2)
AGREEMENT = Agreement("truth", losses.mse, temperature=0.05)
MAKINGS = {
    "equal": {"weights": None},
    "numbers": {"weights": [3, 1, 2]},
    "regions": {"weights": ["left", "middle", 0.5]},
    "best region": {"weights": ["left", "middle", 0.5], "choose": "best"},
    "agreement": {"weights": AGREEMENT},
    "agreement by channel": {"weights": Agreement("truth", losses.mse, 0.05, "channel")},
    "agreement by position": {"weights": Agreement("truth", losses.mse, 0.05, "position")},
    "best agreement": {"weights": AGREEMENT, "choose": "best"},
    "confidence": {"weights": Confidence("peak", per="channel")},
}


class Given(Teacher):
    """Gives what it was given, whatever the batch."""

    def __init__(self, name: str, **targets: Tensor) -> None:
        self.name, self.reads, self.outputs = name, (f"seen by {name}",), tuple(targets)
        self.given = targets
        self.told: list[str] = []
        self.runs = 0

    def targets(self, batch: Batch) -> dict[str, Tensor]:
        self.runs += 1
        return dict(self.given)

    def to(self, device: torch.device) -> "Given":
        self.told.append(str(device))
        return self

    def state_dict(self) -> dict[str, Tensor]:
        return self.given

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.given = dict(state)


def noise(seed: int, shape: tuple[int, ...] = SHAPE) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def three() -> list[Given]:
    return [Given(name, heatmap=noise(seed)) for seed, name in enumerate("abc")]


def batch() -> dict[str, Tensor]:
    left = torch.tensor([[1.0, 1, 0, 0, 0]]).expand(3, 5)
    return {"truth": noise(9), "left": left, "middle": noise(8, (3, 1, 4, 2))}


def combine(teachers: list[Given], **making: object) -> Tensor:
    return EnsembleTeacher("e", teachers, **making).targets(batch())["heatmap"]


@pytest.mark.parametrize("making", MAKINGS.values(), ids=MAKINGS)
def test_each_value_lies_between_those_of_the_teachers(making):
    stacked = torch.stack([teacher.given["heatmap"] for teacher in three()])
    combined = combine(three(), **making)
    assert combined.shape == SHAPE
    assert (combined >= stacked.amin(0) - 1e-6).all()
    assert (combined <= stacked.amax(0) + 1e-6).all()


@pytest.mark.parametrize("making", MAKINGS.values(), ids=MAKINGS)
def test_equal_teachers_give_what_each_gives(making):
    # With a constant target the result is the sum of the shares.
    for target in (noise(0), torch.ones(SHAPE)):
        teachers = [Given(name, heatmap=target) for name in "abc"]
        torch.testing.assert_close(combine(teachers, **making), target)


@pytest.mark.parametrize("making", MAKINGS.values(), ids=MAKINGS)
def test_the_order_of_the_teachers_does_not_matter(making):
    weights = making["weights"]
    expected = combine(three(), **making)
    for order in permutations(range(3)):
        teachers = [three()[index] for index in order]
        same = [weights[index] for index in order] if isinstance(weights, list) else weights
        torch.testing.assert_close(combine(teachers, **{**making, "weights": same}), expected)


@pytest.mark.parametrize(
    "weights", [None, [0.3], ["left"], [lambda batch: batch["left"]], AGREEMENT, Confidence("peak")]
)
def test_one_teacher_is_that_teacher(weights):
    assert torch.equal(combine(three()[:1], weights=weights), noise(0))


def test_numbers_average(toy):
    a, b = toy.primary(), toy.senior()
    data = toy.batch()
    teacher = EnsembleTeacher("both", [a, b], weights=[3, 1])
    expected = 0.75 * a.targets(data)["heatmap"] + 0.25 * b.targets(data)["heatmap"]
    torch.testing.assert_close(teacher.targets(data)["heatmap"], expected)
    assert teacher.reads == ("image", "mask")
    assert len(list(teacher.parameters())) == len(list(a.parameters())) + len(list(b.parameters()))


def test_only_the_proportion_of_numbers_counts():
    torch.testing.assert_close(combine(three(), weights=[3, 1, 2]), combine(three(), weights=[0.75, 0.25, 0.5]))
    torch.testing.assert_close(combine(three()), combine(three(), weights=[7, 7, 7]))


@pytest.mark.parametrize("weights", [[0, 2, 1], [0, "left", 1.0]], ids=str)
def test_a_teacher_of_the_number_0_is_not_run(weights):
    teachers = three()
    combined = combine(teachers, weights=weights)
    assert [teacher.runs for teacher in teachers] == [0, 1, 1]
    torch.testing.assert_close(combined, combine(teachers[1:], weights=weights[1:]))


def test_each_region_is_its_teachers():
    weights = [lambda batch: batch["left"], lambda batch: 1 - batch["left"], lambda batch: batch["left"] * 0]
    for choose in ("share", "best"):
        combined = combine(three(), weights=weights, choose=choose)
        assert torch.equal(combined[:, :2], noise(0)[:, :2])
        assert torch.equal(combined[:, 2:], noise(1)[:, 2:])


def test_regions_that_overlap_share_by_weight_and_nobodys_is_everyones():
    data = {"a": torch.tensor([[3.0, 0, -1]]), "b": torch.tensor([[1.0, 0, 5]])}
    teachers = [Given("a", depth=torch.zeros(1, 3)), Given("b", depth=torch.ones(1, 3))]
    shared = EnsembleTeacher("e", teachers, weights=["a", "b"]).targets(data)["depth"]
    torch.testing.assert_close(shared, torch.tensor([[0.25, 0.5, 1.0]]))
    best = EnsembleTeacher("e", teachers, weights=["a", "b"], choose="best").targets(data)["depth"]
    assert best.tolist() == [[0.0, 0.0, 1.0]]


@pytest.mark.parametrize("kind", [torch.bool, torch.uint8, torch.int64, torch.float64])
def test_regions_may_be_of_any_type(kind):
    teachers = [Given("a", depth=torch.zeros(2, 3)), Given("b", depth=torch.ones(2, 3))]
    data = {"a": torch.tensor([1, 0]).to(kind), "b": torch.tensor([0, 1]).to(kind)}
    combined = EnsembleTeacher("e", teachers, weights=["a", "b"]).targets(data)["depth"]
    assert combined.tolist() == [[0.0] * 3, [1.0] * 3]
    assert combined.dtype == torch.float32


def test_class_indices_may_be_chosen():
    teachers = [Given("a", label=torch.full((2, 3), 7)), Given("b", label=torch.full((2, 3), 4))]
    data = {"a": torch.tensor([0.7, 0.2]), "b": torch.tensor([0.3, 0.8])}
    chosen = EnsembleTeacher("e", teachers, weights=["a", "b"], choose="best").targets(data)["label"]
    assert chosen.dtype == torch.int64
    assert chosen.tolist() == [[7] * 3, [4] * 3]
    assert (
        EnsembleTeacher("e", teachers, weights=["a", "b"]).targets(data)["label"][0, 0].isclose(torch.tensor(6.1))
    )


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float64])
def test_targets_keep_their_floating_type(kind):
    teachers = [Given(name, heatmap=noise(seed).to(kind)) for seed, name in enumerate("ab")]
    weights = [torch.tensor([0.4099, 0.41, 0.4101]), torch.tensor([0.41, 0.41, 0.41])]
    for choose in ("share", "best"):
        combined = combine(teachers, weights=[lambda _: weights[0], lambda _: weights[1]], choose=choose)
        assert combined.dtype == kind
    # In bfloat16 the logarithms of these weights are equal.
    assert torch.equal(combined[0], teachers[1].given["heatmap"][0])
    assert torch.equal(combined[2], teachers[0].given["heatmap"][2])


def test_what_has_no_share_may_be_nan():
    spoilt = torch.where(batch()["left"][..., None, None] > 0, math.nan, noise(0))
    teachers = [Given("a", heatmap=spoilt), Given("b", heatmap=noise(1))]
    weights = [lambda batch: 1 - batch["left"], "left"]
    assert combine(teachers, weights=weights).isfinite().all()


def test_shares_of_a_score_are_its_softmax_over_teachers():
    loss = torch.stack([(noise(seed) - noise(9)).square().mean((1, 2, 3)) for seed in range(3)])
    shares = (-loss / 0.05).softmax(0)[..., None, None, None]
    expected = (shares * torch.stack([noise(seed) for seed in range(3)])).sum(0)
    torch.testing.assert_close(combine(three(), weights=AGREEMENT), expected)


def test_two_teachers_share_as_in_ca_mkd():
    label = torch.tensor([0, 4, 2])
    logits = torch.stack([noise(seed, (3, 5)) * 4 for seed in range(2)])
    cross_entropy = torch.stack([nn.functional.cross_entropy(value, label, reduction="none") for value in logits])
    expected = ((1 - cross_entropy.softmax(0))[..., None] * logits).sum(0)
    teachers = [Given(name, logits=value) for name, value in zip("ab", logits, strict=True)]
    ensemble = EnsembleTeacher("e", teachers, weights=Agreement("label", losses.cross_entropy))
    torch.testing.assert_close(ensemble.targets({"label": label})["logits"], expected)


@pytest.mark.parametrize("per", ["sample", "channel", "position"])
def test_the_best_agrees_at_least_as_well_as_every_teacher(per):
    score = Agreement("truth", losses.mse, per=per)
    best = (combine(three(), weights=score, choose="best") - noise(9)).square().mean((1, 2, 3))
    each = torch.stack([(noise(seed) - noise(9)).square().mean((1, 2, 3)) for seed in range(3)])
    assert (best <= each.amin(0) + 1e-7).all()
    assert (best < each.mean(0)).all()
    if per == "sample":
        chosen = torch.stack([noise(seed) for seed in range(3)])[each.argmin(0), torch.arange(3)]
        assert torch.equal(combine(three(), weights=score, choose="best"), chosen)


def test_teachers_that_all_score_0_count_alike():
    teachers = [Given(name, heatmap=-noise(seed)) for seed, name in enumerate("ab")]
    combined = combine(teachers, weights=Confidence("peak", per="channel"))
    torch.testing.assert_close(combined, -(noise(0) + noise(1)) / 2)
    assert torch.equal(combine(teachers, weights=Confidence("peak"), choose="best"), -noise(0))


def test_each_output_is_scored_on_its_own_or_one_decides_for_all():
    teachers = [
        Given("sure of a", a=torch.tensor([[9.0, 0, 0]]), b=torch.tensor([[0.0, 1]])),
        Given("sure of b", a=torch.tensor([[0.0, 1, 0]]), b=torch.tensor([[9.0, 0]])),
    ]
    score = Confidence("probability")
    apart = EnsembleTeacher("e", teachers, score, "best").targets({})
    assert apart["a"].tolist() == [[9.0, 0, 0]]
    assert apart["b"].tolist() == [[9.0, 0]]
    together = EnsembleTeacher("e", teachers, score, "best", score_on="a").targets({})
    assert together["a"].tolist() == [[9.0, 0, 0]]
    assert together["b"].tolist() == [[0.0, 1]]


def test_reads_what_teachers_and_weights_read():
    assert EnsembleTeacher("e", three()).reads == ("seen by a", "seen by b", "seen by c")
    assert EnsembleTeacher("e", three(), weights=["left", 1.0, "seen by a"]).reads[-1] == "left"
    visible = Agreement("truth", losses.mse, region="visible")
    assert EnsembleTeacher("e", three(), weights=visible).reads[-2:] == ("truth", "visible")


def test_carries_no_gradient():
    data = {**batch(), "left": batch()["left"].clone().requires_grad_()}
    combined = EnsembleTeacher("e", three(), weights=["left", "middle", 1.0]).targets(data)["heatmap"]
    assert not combined.requires_grad


def test_members_keep_their_place_and_state():
    a, b, _ = three()
    ensemble = EnsembleTeacher("e", [a, b, a])
    assert ensemble.members == (a, b)
    assert EnsembleTeacher("more", [b, ensemble]).members == (b, a)
    assert ensemble.to(torch.device("meta")) is ensemble
    assert b.told[-1] == a.told[-1] == "meta"
    state = ensemble.state_dict()
    assert all(isinstance(value, Tensor) for value in state.values())
    others = [Given(name, heatmap=torch.zeros(SHAPE)) for name in "abc"]
    EnsembleTeacher("e", others).load_state_dict(state)
    assert all(list(other.given) == ["heatmap"] for other in others)
    assert torch.equal(others[0].given["heatmap"], noise(0))
    assert torch.equal(others[1].given["heatmap"], noise(1))
    assert torch.equal(others[2].given["heatmap"], noise(0))
    with pytest.raises(CheckpointError, match=r"ensemble 'e' has 2 teachers.*'2.heatmap'"):
        EnsembleTeacher("e", others[:2]).load_state_dict(state)


def test_repr_is_free_of_addresses():
    ensemble = EnsembleTeacher("e", three(), weights=["left", lambda batch: batch["left"], partial(noise, 3)])
    assert " at 0x" not in repr(ensemble)
    assert "weights=['left', " in repr(ensemble)
    assert "noise(3)" in repr(ensemble)
    assert repr(EnsembleTeacher("e", three(), [2, 1, 1])).endswith("weights=(0.5, 0.25, 0.25))")
    scored = repr(EnsembleTeacher("e", three(), Confidence(), "best", score_on="heatmap"))
    assert scored.endswith("temperature=1.0), choose='best', score_on='heatmap')")


def test_a_student_learns_from_a_scored_ensemble(toy):
    score = Agreement("heatmap", losses.mse, per="channel", region="visible")
    teacher = EnsembleTeacher("both", [toy.primary(), toy.senior()], score)
    stage = Stage("both", [Distill(teacher, "heatmap", losses.mse)], until=Epochs(1))
    distiller = Distiller(toy.student(), Curriculum(stage))
    step = distiller(toy.batch())
    step.total.backward()
    assert step.total > 0
    assert distiller.privileged_fields == {"mask", "heatmap", "visible"}


@pytest.mark.parametrize("making", MAKINGS.values(), ids=MAKINGS)
def test_the_host_waits_for_no_value(making):
    # Tensors on the meta device have no values: whoever asks for one fails.
    teachers = [Given(name, heatmap=torch.empty(SHAPE, device="meta")) for name in "abc"]
    data = {name: value.to("meta") for name, value in batch().items()}
    assert EnsembleTeacher("e", teachers, **making).targets(data)["heatmap"].device.type == "meta"


@pytest.mark.parametrize(
    "weights",
    [[1], [1, -1], [0, 0], [1, math.nan], "left", 3.0, [1, Confidence()], [None, 1], ["left", -1.0], {"left": 1}],
    ids=str,
)
def test_weights_must_fit(weights):
    with pytest.raises(ConfigurationError, match=r"ensemble 'e'.*weight"):
        EnsembleTeacher("e", three()[:2], weights=weights)


def test_choices_must_fit():
    for weights in (None, [1, 2, 3]):
        with pytest.raises(ConfigurationError, match="'best' needs a Score or regions"):
            EnsembleTeacher("e", three(), weights=weights, choose="best")
    with pytest.raises(ConfigurationError, match="choose='most'"):
        EnsembleTeacher("e", three(), weights=AGREEMENT, choose="most")
    for weights, output in ((None, "heatmap"), (AGREEMENT, "logits")):
        with pytest.raises(ConfigurationError, match=f"score_on='{output}'"):
            EnsembleTeacher("e", three(), weights=weights, score_on=output)
    with pytest.raises(ConfigurationError, match="at least one teacher"):
        EnsembleTeacher("e", [])
    with pytest.raises(ConfigurationError, match="no output in common"):
        EnsembleTeacher("e", [Given("a", heatmap=noise(0)), Given("b", depth=noise(0))])


@pytest.mark.parametrize(
    ("shape", "remedy"),
    [
        ((3, 5, 8, 4), r"outputs={'heatmap': Resize\(4, 2\)}"),
        ((3, 7, 4, 2), r"outputs={'heatmap': Channels\(order\)}"),
    ],
)
@pytest.mark.parametrize("weights", [None, AGREEMENT], ids=str)
def test_other_shapes_are_refused_with_the_remedy(shape, remedy, weights):
    teachers = [Given("a", heatmap=noise(0)), Given("b", heatmap=noise(1, shape))]
    with pytest.raises(
        BatchError, match=r"ensemble 'e'.*only targets of one shape.*TransformedTeacher.*" + remedy
    ):
        combine(teachers, weights=weights)


def test_unfit_batches_are_named():
    with pytest.raises(BatchError, match=r"ensemble 'e'.*region reads the field 'right'"):
        combine(three(), weights=["right", 1, 1])
    with pytest.raises(BatchError, match=r"ensemble 'e'.*region of shape \(3, 7\)"):
        combine(three(), weights=[lambda batch: torch.ones(3, 7), 1, 1])
    with pytest.raises(BatchError, match=r"ensemble 'e'.*score of 'heatmap'.*score_on"):
        combine(three(), weights=Agreement("depth", losses.mse))


def test_teachers_may_be_modules_of_different_networks(toy):
    wide = ModuleTeacher("wide", toy.network(width=16, seed=5), "image", "heatmap")
    ensemble = EnsembleTeacher("e", [toy.primary(), wide], Confidence("peak", per="channel"))
    assert ensemble.targets(toy.batch())["heatmap"].shape == (4, 5, 8, 6)
