"""A teacher behind transforms of what it reads and of what it gives."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from kdkit.batch import Batch, read_field
from kdkit.errors import BatchError, ConfigurationError
from kdkit.teacher import Teacher
from kdkit.transforms import TargetTransform


class TransformedTeacher(Teacher):
    """Another teacher, which sees the batch in its own way and gives targets in the student's.

    It brings teachers of other normalizations, input sizes, strides or channel orders to one form, so that an
    :class:`kdkit.EnsembleTeacher` can combine them and weightings see targets of the student's size.

    Args:
        teacher: the teacher, which it owns from then on.
        inputs: what is applied to a batch field before the teacher reads it, by field. Fields that belong
            together, such as an image and a mask, need the same resizing. The batch itself is not changed.
        outputs: what is applied to a target, by output.
        name: the teacher's name; its own by default. Give another to use the teacher both ways in one run.

    Raises:
        ConfigurationError: if a field is not read by the teacher, an output not given, or what is to be
            applied is no TargetTransform.

    Example:
        >>> import torch
        >>> from kdkit import ModuleTeacher, Resize
        >>> plain = ModuleTeacher("large", torch.nn.Conv2d(3, 17, 1, stride=4), "image", "heatmap")
        >>> before, after = {"image": Resize(96, 72)}, {"heatmap": Resize(16, 12)}
        >>> teacher = TransformedTeacher(plain, inputs=before, outputs=after)
        >>> teacher.targets({"image": torch.zeros(2, 3, 64, 48)})["heatmap"].shape
        torch.Size([2, 17, 16, 12])
    """

    def __init__(
        self,
        teacher: Teacher,
        *,
        inputs: Mapping[str, TargetTransform] | None = None,
        outputs: Mapping[str, TargetTransform] | None = None,
        name: str | None = None,
    ) -> None:
        if not isinstance(teacher, Teacher):
            raise ConfigurationError(
                f"TransformedTeacher: {type(teacher).__name__} is not a Teacher; wrap a network as "
                f"ModuleTeacher(name, network, inputs=..., outputs=...)"
            )
        self.name = teacher.name if name is None else name
        self.reads = teacher.reads
        self.outputs = teacher.outputs
        self.teacher = teacher
        self.input_transforms = self._check(inputs, teacher.reads, "input")
        self.output_transforms = self._check(outputs, teacher.outputs, "output")

    def _check(
        self, transforms: Mapping[str, TargetTransform] | None, names: tuple[str, ...], what: str
    ) -> dict[str, TargetTransform]:
        for name, transform in (transforms or {}).items():
            if name not in names:
                raise ConfigurationError(
                    f"teacher '{self.name}' has no {what} '{name}' to transform, only {list(names)}"
                )
            if not isinstance(transform, TargetTransform):
                raise ConfigurationError(
                    f"teacher '{self.name}', {what} '{name}': {transform!r} is not a TargetTransform"
                )
        return dict(transforms or {})

    def targets(self, batch: Batch) -> dict[str, Tensor]:
        """Return the teacher's targets for the transformed fields, transformed.

        Raises:
            BatchError: if the batch lacks a field, or a transform does not fit its field or target.
        """
        with torch.no_grad():
            seen = {field: read_field(batch, field, f"teacher '{self.name}'") for field in self.input_transforms}
            targets = self.teacher.targets({**batch, **self._apply(self.input_transforms, seen, "input")})
            return self._apply(self.output_transforms, targets, "output")

    def _apply(
        self, transforms: Mapping[str, TargetTransform], values: dict[str, Tensor], what: str
    ) -> dict[str, Tensor]:
        done = dict(values)
        for name, transform in transforms.items():
            try:
                done[name] = transform(values[name])
            except BatchError as error:
                raise BatchError(f"teacher '{self.name}', {what} '{name}': {error}") from error
        return done

    def to(self, device: torch.device) -> Self:
        """Move the teacher to ``device``."""
        self.teacher.to(device)
        return self

    def parameters(self) -> Iterable[nn.Parameter]:
        """Return the teacher's parameters."""
        return self.teacher.parameters()

    @property
    def convention(self) -> Mapping[str, str]:
        """The teacher's; nothing where its inputs are transformed, after which its targets are of other data."""
        return {} if self.input_transforms else self.teacher.convention

    @property
    def usage(self) -> Mapping[str, str]:
        """The teacher's; nothing where its inputs are transformed."""
        return {} if self.input_transforms else self.teacher.usage

    @property
    def members(self) -> tuple[Teacher, ...]:
        """The teacher's members."""
        return self.teacher.members

    def state_dict(self) -> dict[str, Any]:
        """Return the teacher's state."""
        return self.teacher.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Give the teacher its state."""
        self.teacher.load_state_dict(state)

    def __repr__(self) -> str:
        parts = [repr(self.teacher)]
        parts += [
            f"{name}={value!r}"
            for name, value in (("inputs", self.input_transforms), ("outputs", self.output_transforms))
            if value
        ]
        if self.name != self.teacher.name:
            parts.append(f"name={self.name!r}")
        return f"TransformedTeacher({', '.join(parts)})"
