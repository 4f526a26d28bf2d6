"""Why a distiller's step cannot be recorded and replayed, as far as that is known before it runs."""

from kdkit.balance import Uncertainty
from kdkit.cache.cached_teacher import CachedTeacher
from kdkit.cache.canonical_teacher import CanonicalTeacher
from kdkit.distill import Distill
from kdkit.distiller import Distiller
from kdkit.ema_teacher import EMATeacher
from kdkit.ensemble_teacher import EnsembleTeacher
from kdkit.fast_network import CompiledNetwork
from kdkit.fast_teachers import FastTeacher
from kdkit.module_teacher import ModuleTeacher
from kdkit.objective import Objective
from kdkit.teacher import Teacher
from kdkit.transformed_teacher import TransformedTeacher
from kdkit.weighting import Weighting


def recording_fault(distiller: Distiller) -> str:
    """Return what in the curriculum asks the host at every step, in words, or nothing where nothing does.

    Losses, and regions that are functions, are taken to depend on their tensors alone.
    """
    for stage in distiller.curriculum:
        for objective in stage.objectives:
            if not objective.is_off and (fault := _objective_fault(objective)):
                return f"objective '{objective.name}' of stage '{stage.name}': {fault}"
    return ""


def _objective_fault(objective: Objective) -> str:
    # What it learns is a parameter; the others keep what they measured, as numbers and tensors of their own.
    if objective.balance is not None and type(objective.balance) is not Uncertainty:
        return f"{objective.balance!r} keeps what it measures on the host"
    for region in objective.regions:
        if isinstance(region, Weighting) and not all(schedule.is_constant for schedule in region.schedules()):
            return f"{region!r} follows a schedule on the host"
    return teacher_fault(objective.teacher) if isinstance(objective, Distill) else ""


def teacher_fault(teacher: Teacher) -> str:
    """Return why a teacher's work cannot be recorded, in words, or nothing where it can."""
    match teacher:
        case FastTeacher():
            return teacher_fault(teacher.runs)
        case TransformedTeacher():
            return teacher_fault(teacher.teacher)
        case EnsembleTeacher():
            return next((fault for member in teacher.teachers if (fault := teacher_fault(member))), "")
        case CachedTeacher() | CanonicalTeacher():
            looks_up = f"teacher '{teacher.name}' looks its records up on the host: give it records=..."
            return looks_up if teacher.records is None else ""
        # An average moves between the steps, in place.
        case ModuleTeacher() if type(teacher).targets in (ModuleTeacher.targets, EMATeacher.targets):
            graphs = isinstance(teacher.module, CompiledNetwork) and teacher.module.replays_graphs
            return (
                f"teacher '{teacher.name}' replays CUDA graphs of its own: compile=True does not" if graphs else ""
            )
    return f"teacher '{teacher.name}' is a {type(teacher).__name__}, which may do more than compute on the device"
