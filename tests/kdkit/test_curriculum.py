import copy
import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kdkit import (
    CheckpointError,
    ConfigurationError,
    Cosine,
    Curriculum,
    Distill,
    Distiller,
    Epochs,
    Linear,
    Plateau,
    Reached,
    RunEpochs,
    RunSteps,
    Stage,
    Steps,
    Supervise,
    Teacher,
    losses,
)
from kdkit.alternate import Alternate
from kdkit.ramp import Ramp
from kdkit.weighting import Confidence, EasyFirst


def stage(name, until, weight=1.0, **options):
    return Stage(name, [Supervise("heatmap", losses.mse, weight=weight)], until, **options)


def test_stages_follow_each_other():
    curriculum = Curriculum(stage("a", Epochs(2)), stage("b", Steps(3)), stage("c", Reached("AP", 0.5)))
    curriculum.end_epoch()
    assert curriculum.stage.name == "a"
    curriculum.end_epoch()
    assert curriculum.stage.name == "b"
    for _ in range(3):
        curriculum.advance()
    assert curriculum.stage.name == "c"
    curriculum.advance()
    curriculum.end_epoch({"AP": 0.4})
    assert not curriculum.finished
    curriculum.advance()
    curriculum.end_epoch({"AP": 0.6})
    assert curriculum.finished
    assert curriculum.stage.name == "c"
    with pytest.raises(ConfigurationError, match="finished"):
        curriculum.advance()
    curriculum.reset()
    assert curriculum.stage.name == "a"


def test_each_stage_counts_from_its_own_start():
    curriculum = Curriculum(stage("a", Plateau("AP", 1)), stage("b", Plateau("AP", 1)))
    curriculum.end_epoch({"AP": 0.9})
    curriculum.end_epoch({"AP": 0.8})
    assert curriculum.stage.name == "b"
    curriculum.end_epoch({"AP": 0.1})
    assert not curriculum.finished


def test_a_stage_that_begins_with_an_epochs_last_step_has_all_of_its_epochs():
    curriculum = Curriculum(stage("a", Steps(4)), stage("b", Epochs(1)))
    steps = {"a": 0, "b": 0}
    while not curriculum.finished:
        for _ in range(2):
            steps[curriculum.stage.name] += 1
            curriculum.advance()
        curriculum.end_epoch()
        curriculum.load_state_dict(json.loads(json.dumps(curriculum.state_dict())))
    assert steps == {"a": 4, "b": 2}
    assert curriculum.epochs == 3


def test_sum_is_a_new_curriculum_at_its_start():
    a, b = Curriculum(stage("a", Epochs(1))), Curriculum(stage("b", Epochs(1)))
    a.end_epoch()
    both = a + b
    assert [one.name for one in both] == ["a", "b"]
    assert both.stage.name == "a"
    assert len(both) == 2


def test_weights_over_the_stage_and_over_the_run():
    ramp, whole = Linear(0.0, 1.0), Linear(0.0, 1.0, over="run")
    curriculum = Curriculum(stage("a", Epochs(1), weight=whole), stage("b", Epochs(3), weight=ramp))
    curriculum.steps_per_epoch = 4
    seen = []
    for _ in range(4):
        for _ in range(4):
            seen.append((curriculum.value(ramp), curriculum.value(whole)))
            curriculum.advance()
        curriculum.end_epoch()
    assert [over_stage for over_stage, _ in seen[:5]] == [0.0, 0.25, 0.5, 0.75, 0.0]
    assert [over_run for _, over_run in seen] == [pytest.approx(step / 16) for step in range(16)]
    assert curriculum.value(whole) == 1.0


def test_counting_weights_need_no_length_and_begin_anew_in_each_stage():
    steps, epochs = Alternate((1.0, 0.0)), Alternate((1.0, 2.0, 3.0), unit="epochs")
    curriculum = Curriculum(
        stage("a", Reached("AP", 0.5), weight=steps), stage("b", Plateau("AP", 9), weight=epochs)
    )
    seen = []
    for metric in (0.1, 0.1, 0.6, 0.1, 0.1):
        for _ in range(3):
            seen.append((curriculum.value(steps), curriculum.value(epochs)))
            curriculum.advance()
        curriculum.end_epoch({"AP": metric})
    first = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]
    assert [value for value, _ in seen] == first + first[:6]
    assert [value for _, value in seen[::3]] == [1.0, 2.0, 3.0, 1.0, 2.0]


def test_a_product_is_checked_for_each_span_it_needs():
    stage("a", Plateau("AP", 3), weight=0.5 * Alternate())
    with pytest.raises(ConfigurationError, match="changes over the stage"):
        stage("a", Plateau("AP", 3), weight=Alternate() * Ramp(0, 1))
    over_run = Alternate() * Ramp(0, 1, over="run")
    with pytest.raises(ConfigurationError, match="changes over the run"):
        Curriculum(stage("a", Plateau("AP", 3), weight=over_run), stage("b", Epochs(1)))


def test_a_region_that_changes_needs_a_length_too():
    easy = EasyFirst(Confidence("probability"), Linear(0.5, 1.0))
    with pytest.raises(ConfigurationError, match="the region of 'supervise/x' changes over the stage"):
        Stage("a", [Supervise("x", losses.mse, region=easy)], Plateau("AP", 3))
    Stage("a", [Supervise("x", losses.mse, region=easy)], Epochs(3))


def test_of_teachers_that_take_turns_one_is_run_at_a_step(toy):
    calls = []

    class Counted(Teacher):
        reads, outputs = ("image",), ("heatmap",)

        def __init__(self, name):
            self.name = name

        def targets(self, batch):
            calls.append(self.name)
            return {"heatmap": batch["heatmap"]}

    turns = {"a": (1.0, 0.0), "b": (0.0, 1.0)}
    objectives = [
        Distill(Counted(name), "heatmap", losses.mse, weight=Alternate(values)) for name, values in turns.items()
    ]
    distiller = Distiller(toy.student(), Curriculum(Stage("turns", objectives, Steps(5))))
    while not distiller.curriculum.finished:
        distiller(toy.batch())
        distiller.advance()
    assert calls == ["a", "b", "a", "b", "a"]


def test_a_value_whose_length_is_not_known_is_refused():
    curriculum = Curriculum(stage("a", Epochs(1)), stage("b", Plateau("AP", 3)))
    assert curriculum.value(Linear(1, 2)) == 1
    with pytest.raises(ConfigurationError, match="over the run, whose progress is not known"):
        curriculum.value(Linear(1, 2, over="run"))
    curriculum.end_epoch()
    with pytest.raises(ConfigurationError, match="over the stage, whose progress is not known"):
        curriculum.value(Linear(1, 2))


SCHEDULES = [
    Alternate((1.0, 0.0), every=2),
    Alternate((1.0, 0.0, 3.0), unit="epochs"),
    Ramp(0.0, 1.0, 0.25, 0.75, "sigmoid"),
    Ramp(0.0, 1.0, 0.1, 0.9, over="run"),
    0.5 * Alternate() * Cosine(2.0, 0.0, over="run"),
]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(1, 5), st.integers(0, 60), st.booleans())
def test_a_resumed_curriculum_gives_the_same_weights(lengths, per_epoch, cut, told):
    def make():
        made = Curriculum(*(stage(str(place), Epochs(count)) for place, count in enumerate(lengths)))
        made.steps_per_epoch = per_epoch if told else None
        return made

    straight, resumed = make(), make()
    step = 0
    while not straight.finished:
        if step == cut:
            state = json.loads(json.dumps(resumed.state_dict()))
            resumed = make()
            resumed.load_state_dict(state)
        assert [straight.value(one) for one in SCHEDULES] == [resumed.value(one) for one in SCHEDULES]
        step += 1
        for curriculum in (straight, resumed):
            curriculum.advance()
            if step % per_epoch == 0:
                curriculum.end_epoch()


def test_steps_per_epoch_are_learned_at_the_first_epochs_end():
    curriculum = Curriculum(stage("a", Epochs(2), weight=Cosine(0.0, 1.0)))
    for _ in range(5):
        curriculum.advance()
    curriculum.end_epoch()
    assert curriculum.steps_per_epoch == 5


def test_a_changing_weight_needs_a_length():
    with pytest.raises(ConfigurationError, match=r"the weight of 'supervise/heatmap' changes.*Epochs\(100\)"):
        stage("a", Plateau("AP", 3), weight=Linear(0, 1))
    stage("a", Plateau("AP", 3) | Epochs(10), weight=Linear(0, 1))
    with pytest.raises(ConfigurationError, match="learning rate"):
        stage("a", Plateau("AP", 3), learning_rate=Linear(1e-3, 0))
    with pytest.raises(ConfigurationError, match="same unit"):
        Curriculum(stage("a", Epochs(2), weight=Linear(0, 1, over="run")), stage("b", Steps(10)))


def test_a_metric_that_never_comes_is_an_error_at_the_first_evaluation():
    curriculum = Curriculum(stage("a", Epochs(1)), stage("b", Plateau("val/AP", 3)))
    with pytest.raises(ConfigurationError, match=r"stage 'b' waits for \['val/AP'\].*'val/accuracy'"):
        curriculum.end_epoch({"val/accuracy": 1.0})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Curriculum(), "at least one Stage"),
        (lambda: Curriculum(stage("a", Epochs(1)), stage("a", Epochs(1))), "two stages named 'a'"),
        (lambda: Stage("a", [], Epochs(1)), "needs a list"),
        (lambda: stage("a", 10), "must be a condition"),
        (lambda: stage("a", Epochs(1), weight=0.0), "nothing is learned"),
        (lambda: stage("a", Epochs(1), optimizer="new"), "'keep' or 'fresh'"),
        (lambda: stage("a", Epochs(1), freeze="stem"), "list of names"),
        (lambda: stage("a", Epochs(1), warmup_steps=-1), "negative"),
        (lambda: Stage("a", [Supervise("x", losses.mse), Supervise("x", losses.l1)], Epochs(1)), "two objectives"),
    ],
)
def test_what_does_not_fit_is_refused(make, words):
    with pytest.raises(ConfigurationError, match=words):
        make()


conditions = st.recursive(
    st.one_of(
        st.builds(Epochs, st.integers(1, 4)),
        st.builds(Steps, st.integers(1, 12)),
        st.builds(RunEpochs, st.integers(1, 12)),
        st.builds(RunSteps, st.integers(1, 24)),
        st.builds(Plateau, st.just("AP"), st.integers(1, 3)),
        st.builds(Reached, st.just("AP"), st.floats(0, 1)),
    ),
    lambda inner: st.one_of(
        st.builds(lambda a, b: a | b, inner, inner), st.builds(lambda a, b: a & b, inner, inner)
    ),
    max_leaves=3,
)
events = st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=30)


@settings(derandomize=True)
@given(st.lists(conditions, min_size=1, max_size=4), events, st.sets(st.integers(0, 30)))
def test_the_cursor_survives_saving_anywhere(conditions, events, cuts):
    try:
        straight = Curriculum(*(stage(str(i), until) for i, until in enumerate(conditions)))
    except ConfigurationError:  # nothing is left for a stage
        assume(False)
    saved = copy.deepcopy(straight)
    for position, event in enumerate(events):
        if position in cuts:
            state = json.loads(json.dumps(saved.state_dict()))
            saved = Curriculum(*(stage(str(i), until) for i, until in enumerate(conditions)))
            saved.load_state_dict(state)
        for curriculum in (straight, saved):
            if not curriculum.finished:
                curriculum.advance() if event is None else curriculum.end_epoch({"AP": event})
        assert straight.state_dict() == saved.state_dict()
        assert straight.stage.name == saved.stage.name


NONSENSE = st.one_of(st.none(), st.booleans(), st.integers(max_value=-1), st.text(max_size=3), st.lists(st.none()))


@settings(derandomize=True, max_examples=50)
@given(st.sampled_from(["index", "progress", "steps", "epochs", "stages"]), NONSENSE, st.booleans())
def test_a_damaged_state_is_refused_and_changes_nothing(name, value, absent):
    curriculum = Curriculum(stage("a", Epochs(2)), stage("b", Epochs(2)))
    curriculum.end_epoch()
    before = curriculum.state_dict()
    damaged = {**before, name: value}
    if absent:
        del damaged[name]
    with pytest.raises(CheckpointError):
        curriculum.load_state_dict(damaged)
    assert curriculum.state_dict() == before


def test_another_curriculums_state_is_refused():
    state = Curriculum(stage("a", Epochs(1))).state_dict()
    with pytest.raises(CheckpointError, match=r"stages \['a'\].*\['b'\]"):
        Curriculum(stage("b", Epochs(1))).load_state_dict(state)


def test_repr_marks_the_active_stage():
    curriculum = Curriculum(stage("a", Epochs(1)), stage("b", Epochs(1)))
    curriculum.end_epoch()
    assert "-> 2. b, until Epochs(count=1)" in repr(curriculum)
    assert "0x" not in repr(curriculum)


def test_a_shortened_one_differs_only_in_how_long_its_stages_last(toy):
    long = toy.curriculum(learning_rate=Linear(1e-2, 1e-3), warmup_steps=3, optimizer="fresh", freeze=["0"])
    short = long.shortened(Steps(1))
    for one, other in zip(long, short, strict=True):
        assert other.until == Steps(1)
        for name in ("name", "objectives", "learning_rate", "warmup_steps", "optimizer", "freeze"):
            assert getattr(one, name) == getattr(other, name)
    short.advance()
    assert (short.index, long.index) == (1, 0)


def test_metrics_of_an_epoch_that_a_stage_took_no_step_in_are_not_its_own():
    curriculum = Curriculum(
        stage("a", Steps(2)), stage("b", Reached("AP", 0.5) | Epochs(10)), stage("c", Epochs(1))
    )
    for _ in range(2):
        curriculum.advance()
    assert curriculum.stage.name == "b"
    curriculum.end_epoch({"AP": 0.9})  # of what stage a learned
    assert curriculum.stage.name == "b"
    curriculum.advance()
    curriculum.end_epoch({"AP": 0.9})
    assert curriculum.stage.name == "c"
