"""What can be known to be wrong before the first batch."""

from kdkit.curriculum import Curriculum
from kdkit.distill import Distill
from kdkit.errors import ConfigurationError
from kdkit.imitate import Imitate
from kdkit.objective import Objective
from kdkit.stage import Stage
from kdkit.student import Student
from kdkit.teacher import Teacher
from kdkit.weighting import TeacherRegion


def check_consistency(student: Student, curriculum: Curriculum) -> None:
    """Check that a student and a curriculum fit together.

    Raises:
        ConfigurationError: naming the first thing that does not fit, and what to do.
    """
    if not isinstance(student, Student):
        raise ConfigurationError(
            f"Distiller: {type(student).__name__} is not a Student; wrap the network as "
            f"Student(network, inputs=..., outputs=...)"
        )
    if curriculum.finished:
        raise ConfigurationError(
            "the curriculum is finished, its cursor stands at the end: build a new one or reset() it"
        )
    teachers: dict[str, Teacher] = {}
    own = {id(parameter) for parameter in student.parameters()}
    for stage in curriculum:
        student.check_parts(stage.freeze)
        _check_required(student, stage)
        for objective in stage.objectives:
            _check_output(student, stage, objective)
            if isinstance(objective, Distill):
                _check_teacher(teachers, own, stage, objective)
            _check_regions(stage, objective)
            _check_balance(student, stage, objective)


def _check_required(student: Student, stage: Stage) -> None:
    named = {objective.output for objective in stage.objectives}
    missing = [output for output in student.required if output not in named]
    if missing:
        raise ConfigurationError(
            f"stage '{stage.name}' has no objective for {', '.join(missing)}, which the student must learn: give "
            f"one for each of {list(student.required)} (a recipe: outputs=...), with weight=0 where it shall not"
        )


def _check_output(student: Student, stage: Stage, objective: Objective) -> None:
    for output in (objective.output, *(objective.of if isinstance(objective, Imitate) else ())):
        if output not in student.outputs:
            raise ConfigurationError(
                f"stage '{stage.name}', objective '{objective.name}': the student has no output '{output}', only "
                f"{list(student.outputs)}"
            )


def _check_teacher(teachers: dict[str, Teacher], own: set[int], stage: Stage, objective: Distill) -> None:
    teacher = objective.teacher
    where = f"stage '{stage.name}', objective '{objective.name}'"
    if objective.target not in teacher.outputs:
        raise ConfigurationError(
            f"{where}: teacher '{teacher.name}' has no output '{objective.target}', only "
            f"{list(teacher.outputs)}; name it with target=..."
        )
    if teachers.setdefault(teacher.name, teacher) is not teacher:
        raise ConfigurationError(f"{where}: two teachers are named '{teacher.name}': rename one")
    if any(id(parameter) in own for parameter in teacher.parameters()):
        raise ConfigurationError(
            f"{where}: teacher '{teacher.name}' shares parameters with the student, which a teacher freezes: "
            f"build it from copy.deepcopy(network)"
        )


def _check_balance(student: Student, stage: Stage, objective: Objective) -> None:
    if objective.balance is None or objective.is_off:
        return
    try:
        objective.balance.check(student, stage.freeze)
    except ConfigurationError as error:
        raise ConfigurationError(f"stage '{stage.name}', objective '{objective.name}': {error}") from error


def _check_regions(stage: Stage, objective: Objective) -> None:
    given = {teacher.name: teacher.outputs for teacher in stage.teachers}
    for region in objective.regions:
        if isinstance(region, TeacherRegion) and region.output not in given.get(str(region.teacher), ()):
            raise ConfigurationError(
                f"stage '{stage.name}', objective '{objective.name}': its region {region!r} needs a teacher of "
                f"the stage that gives '{region.output}'; the stage's teachers give "
                f"{ {name: list(outputs) for name, outputs in given.items()} }"
            )
