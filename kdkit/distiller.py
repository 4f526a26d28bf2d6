"""The distiller: binds a student to a curriculum and computes the loss of a batch."""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor, distributed

from kdkit.batch import Batch
from kdkit.binding import bind_balances
from kdkit.check import CheckReport, check_batch
from kdkit.consistency import check_consistency
from kdkit.curriculum import Curriculum
from kdkit.distill import Distill
from kdkit.errors import CheckpointError, ConfigurationError
from kdkit.objective import Objective
from kdkit.stage import Stage
from kdkit.step_context import StepContext
from kdkit.step_losses import StepLosses
from kdkit.student import Student
from kdkit.teacher import Teacher
from kdkit.weighting import TeacherRegion


class Distiller:
    """A student and the curriculum it goes through.

    Call it on a batch for the losses, then :meth:`advance` after each optimizer step and :meth:`end_epoch`
    after each epoch. It is no ``nn.Module``: teachers are never among what trains, moves or is saved with it.
    Only the active stage's teachers are on the student's device; the others wait on the CPU.

    Args:
        student: the student.
        curriculum: the curriculum, at its start or where a run was left.

    Raises:
        ConfigurationError: if outputs, teachers, names and frozen parts do not fit together.

    Example:
        >>> import torch
        >>> from kdkit import Curriculum, Epochs, Stage, Supervise, losses
        >>> student = Student(torch.nn.Conv2d(3, 5, 1), inputs="image", outputs="heatmap")
        >>> stage = Stage("plain", [Supervise("heatmap", losses.mse)], until=Epochs(1))
        >>> distiller = Distiller(student, Curriculum(stage))
        >>> step = distiller({"image": torch.zeros(2, 3, 8, 8), "heatmap": torch.zeros(2, 5, 8, 8)})
        >>> step.total.backward()
        >>> sorted(step.parts)
        ['supervise/heatmap']
    """

    def __init__(self, student: Student, curriculum: Curriculum) -> None:
        check_consistency(student, curriculum)
        self.student = student
        self.curriculum = curriculum
        self._balances = bind_balances(student, curriculum)
        self.run_student: Callable[[Batch], dict[str, Tensor]] = student
        """What computes the student's outputs; replace it by the compiled or distributed student."""
        self._device = next((value.device for value in student.parameters()), torch.device("cpu"))
        self._entered: Stage | None = None
        self._seen: set[str] = set()  # the active stage's objectives whose values were looked at
        self._compiled = False
        student.learning = None  # of an earlier distiller of the same student
        self._distributed = False
        self.over_processes: Callable[[Tensor], Tensor] | None = None
        """Gives a tensor's mean over the processes that share each batch; a Trainer of several sets it."""
        self._enter(self.stage)

    @property
    def stage(self) -> Stage:
        """The active stage."""
        return self.curriculum.stage

    @property
    def teachers(self) -> tuple[Teacher, ...]:
        """Every teacher that some stage needs, each once."""
        return tuple(dict.fromkeys(teacher for stage in self.curriculum for teacher in stage.teachers))

    @property
    def privileged_fields(self) -> frozenset[str]:
        """The batch fields that teachers read and the student does not."""
        return frozenset(name for teacher in self.teachers for name in teacher.reads) - set(self.student.reads)

    def __call__(self, batch: Batch) -> StepLosses:
        """Return the losses of a batch in the active stage; only its teachers are run, each once.

        Raises:
            BatchError: if the batch lacks a field, shapes do not fit, or, at the stage's first step, what is
                learned by ``bce`` is no probability.
        """
        return self.compute_losses(batch, self.weights)

    @property
    def weights(self) -> dict[str, float]:
        """The weight that each objective of the active stage has now; one whose weight is 0 is absent."""
        curriculum = self.curriculum
        value = curriculum.value
        found = [(objective.name, value(objective.schedule)) for objective in curriculum.stage.objectives]
        return {name: weight for name, weight in found if weight != 0}

    def compute_losses(
        self, batch: Batch, weights: dict[str, float], scales: Mapping[str, Tensor] | None = None
    ) -> StepLosses:
        """Return the losses of a batch under given weights; what :meth:`__call__` does under those of now.

        Args:
            batch: the batch.
            weights: by objective of the active stage, none 0; an objective that is absent is not computed, nor its
                teacher run.
            scales: tensors [], float64 and on the student's device, that are multiplied on in some weights' place:
                where the step is recorded once and replayed, they are filled with other weights.

        Raises:
            BatchError: as of :meth:`__call__`.
        """
        stage, value = self.stage, self.curriculum.value
        active = [objective for objective in stage.objectives if objective.name in weights]
        targets = run_teachers(active, batch, stage.teachers)
        if self._compiled:
            self._tell_what_learns(active)
        predictions = self.run_student(batch)
        # A weight may rise from 0 at any step.
        unseen = frozenset(objective.name for objective in active if objective.name not in self._seen)
        context = StepContext(batch, targets, predictions, value, self.over_processes, unseen)
        samples = {objective.name: objective.sample_losses(context) for objective in active}
        self._seen |= unseen
        losses = self._balanced(active, {name: loss.mean() for name, loss in samples.items()}, predictions)
        if scales:
            parts = {name: _weigh(loss, weights[name], scales.get(name)) for name, loss in losses.items()}
        else:
            # A product with 1 would cost an operation, and one more on the way back.
            parts = {name: loss if weights[name] == 1 else loss * weights[name] for name, loss in losses.items()}
        return StepLosses(
            _total(parts, predictions),
            {name: part.detach() for name, part in parts.items()},
            {name: loss.detach() for name, loss in samples.items()},
            weights,
        )

    def _balanced(
        self, active: Sequence[Objective], losses: dict[str, Tensor], predictions: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        for balance in self._balances.values():
            outputs = {objective.name: objective.output for objective in active if objective.balance is balance}
            if outputs:
                own = {name: losses[name] for name in outputs}
                losses.update(balance.balanced(own, self.student, predictions, outputs))
        return losses

    def advance(self) -> Stage | None:
        """Count an optimizer step; return the stage that this begins, or None.

        A step that a gradient scaler left out counts as well, unless the loop does not call this.
        """
        for member in self.stage.members:
            member.on_step_end()
        return self._follow(self.curriculum.advance)

    def end_epoch(self, metrics: Mapping[str, float] | None = None) -> Stage | None:
        """Count an epoch, with its metrics where it was evaluated; return the stage that this begins, or None."""
        return self._follow(lambda: self.curriculum.end_epoch(metrics))

    def check(self, batch: Batch) -> CheckReport:
        """Run one batch through every stage and report shapes, fields and loss magnitudes; nothing changes.

        Raises:
            BatchError: if a stage cannot use the batch.
        """
        try:
            return check_batch(self.student, self.curriculum, batch, self._device)
        finally:
            self._place_teachers()

    def compile(self, **options: Any) -> "Distiller":
        """Compile what computes the student's outputs, :attr:`run_student`, by ``torch.compile(**options)``.

        Features by module path and adaptors are inside, so ``fullgraph=True`` works where the network allows it.
        """
        self.student.features.pin(self.student.module)
        self.run_student = torch.compile(self.run_student, **options)
        self._compiled = True
        return self

    def _tell_what_learns(self, active: Sequence[Objective]) -> None:
        """Let a compiled student know which of its outputs learn at this step.

        It would give what computes the others a gradient of zeros, and an optimizer with momentum or weight decay
        would then move that; from the student as it is, it has none and stays. It is compiled once for each such
        set of outputs, with nothing computed on the way back that is not needed.
        """
        outputs = {objective.output for objective in active}
        outputs |= {key for key, one in self._balances.items() if any(one is item.balance for item in active)}
        # While nothing is learned, all take part in a zero that can be differentiated.
        learning = tuple(sorted(outputs)) or None
        if self.student.learning != learning:
            self.student.learning = learning

    def distribute(self, wrap: Callable[[Student], Callable[[Batch], dict[str, Tensor]]]) -> "Distiller":
        """Wrap the student, with everything in it thawed for that moment, so that later stages may thaw parts.

        Args:
            wrap: for example ``partial(DistributedDataParallel, find_unused_parameters=True)``, which a
                curriculum that freezes parts or leaves outputs unused needs.
        """
        self.student.freeze(())
        self.run_student = wrap(self.student)
        self._distributed = True
        self.student.freeze(self.stage.freeze)
        return self

    def _is_distributed_unprepared(self) -> bool:
        several = distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
        return several and self.run_student is not self.student and not self._distributed

    def to(self, device: torch.device | str) -> "Distiller":
        """Move the student and the active stage's teachers to a device; the other teachers go to the CPU."""
        self._device = torch.device(device)
        self.student.to(self._device)
        self._place_teachers()
        return self

    def state_dict(self) -> dict[str, Any]:
        """Return where the run is: the cursor, teachers that follow the student, balances' running means.

        The student's own state dict is saved beside it.
        """
        return {
            "curriculum": self.curriculum.state_dict(),
            "teachers": {teacher.name: state for teacher in self.teachers if (state := teacher.state_dict())},
            "balances": {key: balance.state_dict() for key, balance in self._balances.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to where :meth:`state_dict` was taken, inside the same stage.

        Raises:
            CheckpointError: if the state is of another curriculum.
        """
        own = self.state_dict()
        for what in ("teachers", "balances"):
            saved = state.get(what, {})
            if saved.keys() != own[what].keys():
                raise CheckpointError(
                    f"the saved run has a state for the {what} {sorted(saved)}, this one for {sorted(own[what])}: "
                    f"resume with the curriculum it was started with"
                )
        self.curriculum.load_state_dict(state["curriculum"])
        self._enter(self.stage)
        for teacher in self.teachers:
            if teacher.name in own["teachers"]:
                teacher.load_state_dict(state["teachers"][teacher.name])
        for key, balance in self._balances.items():
            balance.load_state_dict(state["balances"][key])

    def _follow(self, move: Callable[[], None]) -> Stage | None:
        before = self.stage
        move()
        if self.stage is before or self.curriculum.finished:
            return None
        self._enter(self.stage)
        return self.stage

    def _enter(self, stage: Stage) -> None:
        known = self._entered.members if self._entered is not None else ()
        thaws = self._entered is not None and set(self._entered.freeze) - set(stage.freeze)
        if thaws and self._is_distributed_unprepared():
            raise ConfigurationError(
                f"stage '{stage.name}' trains {sorted(thaws)}, which was frozen when the student was distributed, "
                f"so its gradients would not be shared between the processes: use distiller.distribute(...)"
            )
        self._entered = stage
        self._seen = set()
        self.student.freeze(stage.freeze)
        self._place_teachers()
        for member in stage.members:
            if member not in known:
                member.on_stage_start()

    def _place_teachers(self) -> None:
        needed = self.stage.teachers
        # First make room, then fill it: two stages' teachers may not fit at the same time.
        for teacher in self.teachers:
            if teacher not in needed:
                teacher.to(torch.device("cpu"))
        for teacher in needed:
            teacher.to(self._device)

    def __repr__(self) -> str:
        return f"Distiller(\n  student {type(self.student.module).__name__},\n  {self.curriculum!r}\n)"


def _weigh(loss: Tensor, weight: float, scale: Tensor | None) -> Tensor:
    """Return a loss times its weight, or times the tensor in its place, to the same bits."""
    if scale is None:
        return loss * weight
    # As with a number, which is multiplied on in float32 at least and leaves the loss's type as it is.
    wide = torch.promote_types(loss.dtype, torch.float32)
    return (loss.to(wide) * scale.to(wide)).to(loss.dtype)


def _total(parts: Mapping[str, Tensor], predictions: Mapping[str, Tensor]) -> Tensor:
    """Return the sum of the parts; while every weight of a ramp is still 0, a zero that can be differentiated."""
    if parts:
        return reduce(torch.add, parts.values())
    return reduce(torch.add, (value.flatten()[:0].sum() for value in predictions.values()))


def run_teachers(
    objectives: Sequence[Objective], batch: Batch, teachers: Sequence[Teacher]
) -> dict[str, dict[str, Tensor]]:
    """Return the targets of every teacher that the objectives or their regions need, each run once.

    Raises:
        ConfigurationError: if a teacher did not give a target it declares.
    """
    if not teachers:
        return {}
    by_name = {teacher.name: teacher for teacher in teachers}
    regions = [region for objective in objectives for region in objective.regions]
    needed = [objective.teacher for objective in objectives if isinstance(objective, Distill)]
    needed += [by_name[str(region.teacher)] for region in regions if isinstance(region, TeacherRegion)]
    targets = {teacher.name: teacher.targets(batch) for teacher in dict.fromkeys(needed)}
    for objective in objectives:
        if isinstance(objective, Distill) and objective.target not in targets[objective.teacher.name]:
            raise ConfigurationError(
                f"teacher '{objective.teacher.name}' declares the output '{objective.target}' but gave only "
                f"{sorted(targets[objective.teacher.name])}"
            )
    return targets
