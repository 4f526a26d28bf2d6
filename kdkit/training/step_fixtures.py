"""What a recorded step rests on, and must not change under it."""

from torch import Tensor

from kdkit.distiller import Distiller


class StepFixtures:
    """Notices when a stage begins, what trains changes, or a weight lies elsewhere in memory.

    Looking takes the host a moment at every step, while the device works: a weight that was moved unnoticed would
    be trained where it no longer is.

    Args:
        distiller: student and curriculum.

    Attributes:
        parameters: the student's.
    """

    def __init__(self, distiller: Distiller) -> None:
        self._distiller = distiller
        self.parameters = tuple(distiller.student.parameters())
        self._modules = tuple(distiller.student.modules())
        self.forget()

    def forget(self) -> None:
        """Take everything as changed."""
        self._standing: tuple[object, ...] | None = None
        self._run: object = None

    def have_moved(self) -> bool:
        """Return whether something is not as it was when this was last asked."""
        stage, run = self._distiller.stage, self._distiller.run_student
        standing = (
            stage.name,
            [value.requires_grad for value in self.parameters],
            list(map(_place, self.parameters)),
            [module.training for module in self._modules],
            [_place(value) for teacher in stage.teachers for value in teacher.parameters()],
        )
        moved = run is not self._run or standing != self._standing
        self._run, self._standing = run, standing
        return moved

    def buffers(self) -> dict[str, int]:
        """Return where the student's buffers lie."""
        return {name: _place(value) for name, value in self._distiller.student.named_buffers()}

    def replaced(self, before: dict[str, int]) -> str:
        """Return the name of a buffer that is another tensor than before, or nothing."""
        return next((name for name, place in self.buffers().items() if before.get(name) != place), "")


_place = Tensor.data_ptr
