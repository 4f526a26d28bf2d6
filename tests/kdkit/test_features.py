"""Features by module path: what submodules return, and nothing left on the network."""

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend

from kdkit import (
    Adaptor,
    ConfigurationError,
    Curriculum,
    Distill,
    Distiller,
    ModuleTeacher,
    Stage,
    Steps,
    Student,
    Supervise,
    losses,
)


class Branches(nn.Module):
    """Returns a list, calls one part twice, and another never."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.split = Split()
        self.twice = nn.Conv2d(4, 4, 1)
        self.never = nn.Conv2d(4, 4, 1)
        self.head = nn.Conv2d(4, 5, 1)

    def forward(self, image: Tensor) -> Tensor:
        fine, _ = self.split(image)
        return self.head(self.twice(self.twice(fine)))


class Split(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, image: Tensor) -> list[Tensor]:
        fine = self.conv(image)
        return [fine, fine[:, :, ::2, ::2]]


def attributes(network: nn.Module) -> dict[str, list[str]]:
    return {name: sorted(vars(part)) for name, part in network.named_modules()}


def hooks(network: nn.Module) -> int:
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in network.modules())


def test_a_feature_is_what_the_submodule_returns(toy):
    network = toy.network().eval()
    student = Student(network, features={"hidden": "2", "first": "0"})
    batch = toy.batch()
    outputs = student(batch)
    assert list(outputs) == ["heatmap", "hidden", "first"] == list(student.outputs)
    assert torch.equal(outputs["first"], network[0](batch["image"]))
    assert torch.equal(outputs["hidden"], network[:3](batch["image"]))
    assert torch.equal(outputs["heatmap"], network(batch["image"]))


def test_an_index_picks_from_what_is_returned(toy):
    student = Student(Branches(), features={"fine": "split[0]", "coarse": "split[-1]", "conv": "split.conv"})
    outputs = student(toy.batch())
    assert torch.equal(outputs["fine"], outputs["conv"])
    assert torch.equal(outputs["coarse"], outputs["fine"][:, :, ::2, ::2])


def test_gradients_flow_through_a_feature(toy):
    student = Student(toy.network(), features={"hidden": "2"})
    student(toy.batch())["hidden"].sum().backward()
    assert student.module[0].weight.grad.abs().sum() > 0
    assert student.module[4].weight.grad is None


def test_nothing_stays_on_the_network(toy):
    network = toy.network()
    before, state = attributes(network), list(network.state_dict())
    student = Student(network, features={"hidden": "2"})
    student(toy.batch())
    assert attributes(network) == before
    assert hooks(network) == 0
    assert list(network.state_dict()) == state
    assert torch.equal(
        pickle.loads(pickle.dumps(network)).eval()(torch.ones(1, 3, 4, 4)), network.eval()(torch.ones(1, 3, 4, 4))
    )


def test_nothing_stays_after_an_error(toy):
    network = toy.network()
    before = attributes(network)
    with pytest.raises(RuntimeError):
        Student(network, features={"hidden": "2"})({"image": torch.zeros(1, 7, 4, 4)})
    assert attributes(network) == before


def test_a_copy_of_a_network_records_nothing_of_it(toy):
    student = Student(toy.network(), features={"hidden": "2"}).eval()
    other = copy.deepcopy(student)
    with torch.no_grad():
        other.module[0].weight.zero_()
        other.module[0].bias.zero_()
    batch = toy.batch()
    assert not torch.equal(student(batch)["hidden"], other(batch)["hidden"])
    assert torch.equal(other(batch)["hidden"], other.module[:3](batch["image"]))


def test_a_teachers_features(toy):
    network = toy.network(seed=1)
    teacher = ModuleTeacher("primary", network, "image", "heatmap", features={"hidden": "2"})
    batch = toy.batch()
    targets = teacher.targets(batch)
    assert teacher.outputs == ("heatmap", "hidden") == tuple(targets)
    assert torch.equal(targets["hidden"], network[:3](batch["image"]))
    assert not targets["hidden"].requires_grad


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("split.covn", r"'fine' is at 'split.covn'.*no such submodule.*'split.conv'"),
        ("split[x]", "not a module's path"),
        ("", "not a module's path"),
    ],
)
def test_a_wrong_path_is_named_at_once(place, words):
    with pytest.raises(ConfigurationError, match=words):
        Student(Branches(), features={"fine": place})
    with pytest.raises(ConfigurationError, match=f"teacher 'big'.*{words}"):
        ModuleTeacher("big", Branches(), "image", "heatmap", features={"fine": place})


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("never", "was not called"),
        ("twice", "called more than once"),
        ("split", r"returns a list of 2.*'split\[0\]'"),
        ("split[2]", r"returns a list of 2"),
        ("split[-3]", r"returns a list of 2"),
        ("head[0]", r"'head\[0\]', but 'head' returns a Tensor: leave the index out"),
    ],
)
def test_what_gives_no_feature_is_named_at_the_first_call(toy, place, words):
    network = Branches()
    before = attributes(network)
    with pytest.raises(ConfigurationError, match=words):
        Student(network, features={"fine": place})(toy.batch())
    assert attributes(network) == before


@pytest.mark.parametrize("owner", ["student", "teacher"])
def test_a_feature_that_is_overwritten_in_place_is_refused(toy, owner):
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True), nn.Conv2d(4, 5, 1))

    def run(place: str) -> dict[str, Tensor]:
        if owner == "student":
            return Student(network, features={"hidden": place})(toy.batch())
        return ModuleTeacher("t", network, "image", "heatmap", features={"hidden": place}).targets(toy.batch())

    with pytest.raises(ConfigurationError, match=r"'hidden' at '0' is overwritten.*inplace"):
        run("0")
    assert run("1")["hidden"].min() >= 0


def test_a_compiled_network_is_refused_with_the_remedy(toy):
    with pytest.raises(ConfigurationError, match=r"distiller\.run_student = torch\.compile"):
        Student(torch.compile(toy.network()), features={"hidden": "2"})


def test_names_must_differ(toy):
    with pytest.raises(ConfigurationError, match="an output and a feature named 'heatmap'"):
        Student(toy.network(), features={"heatmap": "2"})
    with pytest.raises(ConfigurationError, match="one name"):
        ModuleTeacher("primary", toy.network(), "image", "heatmap", features={"heatmap": "2"})


def feature_distiller(toy) -> Distiller:
    teacher = ModuleTeacher("wide", toy.network(width=12), "image", "heatmap", features={"hidden": "2"})
    adaptors = {"wide": Adaptor.conv("hidden", 8, 12)}
    torch.manual_seed(3)
    student = Student(toy.network().eval(), features={"hidden": "2"}, adaptors=adaptors)
    student.module[3].p = 0.0  # dropout draws other numbers in a compiled graph
    objectives = [
        Supervise("heatmap", losses.mse),
        Distill(teacher, "wide", losses.hint, target="hidden"),
    ]
    return Distiller(student, Curriculum(Stage("features", objectives, until=Steps(3))))


def learn(distiller: Distiller, toy) -> list[Tensor]:
    optimizer = torch.optim.SGD(distiller.student.parameters(), lr=0.1)
    totals = []
    while not distiller.curriculum.finished:
        step = distiller(toy.batch())
        step.total.backward()
        optimizer.step()
        optimizer.zero_grad()
        distiller.advance()
        totals.append(step.total.detach())
    return totals


def test_compiled_in_one_graph_equals_eager_and_is_compiled_once(toy):
    eager = learn(feature_distiller(toy), toy)
    distiller, counter = feature_distiller(toy), CompileCounterWithBackend("aot_eager")
    torch._dynamo.reset()
    distiller.compile(fullgraph=True, backend=counter)
    compiled = learn(distiller, toy)
    torch.testing.assert_close(compiled, eager)
    assert counter.frame_count == 1
    assert hooks(distiller.student.module) == 0


@pytest.mark.skipif(
    torch.__version__.startswith("2.11."),
    reason="torch 2.11 wants distiller.compile(), which names features first",
)
def test_plain_torch_compile_works_too(toy):
    eager = learn(feature_distiller(toy), toy)
    distiller = feature_distiller(toy)
    torch._dynamo.reset()
    distiller.run_student = torch.compile(distiller.student, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(learn(distiller, toy), eager)


def test_the_compiled_networks_state_is_its_own(toy):
    distiller = feature_distiller(toy)
    names = list(distiller.student.module.state_dict())
    torch._dynamo.reset()
    learn(distiller.compile(fullgraph=True, backend="eager"), toy)
    assert list(distiller.student.module.state_dict()) == names
    assert torch.equal(
        copy.deepcopy(distiller.student.module)(torch.ones(1, 3, 4, 4)),
        distiller.student.module(torch.ones(1, 3, 4, 4)),
    )


class Checkpointed(nn.Module):
    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.reentrant = reentrant
        self.body = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Tanh())
        self.head = nn.Conv2d(4, 5, 1)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(torch.utils.checkpoint.checkpoint(self.body, image, use_reentrant=self.reentrant))


def test_a_feature_that_would_have_no_gradient_is_refused(toy):
    batch = {"image": toy.batch()["image"].requires_grad_()}
    Student(Checkpointed(False), features={"hidden": "body.0"})(batch)["hidden"].sum().backward()
    student = Student(Checkpointed(True), features={"hidden": "body.0"})
    with pytest.raises(ConfigurationError, match=r"'body\.0' runs without gradient.*use_reentrant=False"):
        student(batch)
    with torch.no_grad():
        assert student(batch)["hidden"].shape[1] == 4


def test_a_module_at_two_places_has_both_paths(toy):
    shared = nn.Conv2d(3, 3, 1)

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.ModuleList([shared]), nn.ModuleList([shared])

        def forward(self, image: Tensor) -> Tensor:
            return self.second[0](image)

    assert "hidden" in Student(Twice(), features={"hidden": "second.0"})(toy.batch())


def test_a_module_at_two_places_is_recorded_for_both():
    shared = nn.Conv2d(3, 4, 1)

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = shared, nn.ModuleList([shared])

        def forward(self, image: Tensor) -> Tensor:
            return self.first(image)

    student = Student(Twice(), features={"a": "first", "b": "second.0"})
    for _ in range(2):
        found = student({"image": torch.rand(2, 3, 4, 4)})
        assert torch.equal(found["a"], found["b"])
    assert "forward" not in vars(shared)
