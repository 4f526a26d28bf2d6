"""Whether the weights that a run begins with are numbers."""

from collections.abc import Iterator, Mapping

from torch import Tensor, nn

from kdkit.distiller import Distiller
from kdkit.errors import ConfigurationError


def check_weights(distiller: Distiller) -> None:
    """Require finite weights of student and teachers.

    Raises:
        ConfigurationError: naming whose are not.
    """
    for whose, tensors in _weights(distiller):
        _check_finite(whose, tensors)


def _weights(distiller: Distiller) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield the weights of student and teachers, with words that say whose they are."""
    yield "the student", distiller.student.state_dict()
    members = dict.fromkeys(member for teacher in distiller.teachers for member in teacher.members)
    for member in members:
        module = getattr(member, "module", None)
        if isinstance(module, nn.Module):
            yield f"teacher '{member.name}'", module.state_dict()
        else:
            yield f"teacher '{member.name}'", {str(i): value for i, value in enumerate(member.parameters())}


def _check_finite(whose: str, tensors: Mapping[str, Tensor]) -> None:
    bad = [name for name, value in tensors.items() if not bool(value.isfinite().all())]
    if bad:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise ConfigurationError(
            f"{whose} has weights that are NaN or infinite, in '{bad[0]}'{more}: its file is of a training that "
            f"diverged, or damaged; give another"
        )
