"""The student: an unmodified network, with adaptors beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from torch import Tensor, nn

from kdkit.batch import Batch, as_names, read_fields
from kdkit.errors import ConfigurationError
from kdkit.outputs import name_outputs


@dataclass(frozen=True)
class Adaptor:
    """A trainable map from one of the student's outputs to the shape of a teacher's.

    Args:
        source: the student's output that is adapted.
        module: the map, for example a 1x1 convolution to the teacher's width.
    """

    source: str
    module: nn.Module


class Student(nn.Module):
    """A network that learns, unmodified, and optional adaptors beside it.

    The network is neither wrapped nor re-classed: ``student.module`` is the object handed in, and its state
    dict is the export. Features are *returned* by the network, as a tuple or a mapping, never hooked.

    Args:
        module: the network.
        inputs: the batch field or fields it reads, passed in order.
        outputs: the name or names of what it returns: one for a tensor, several in order for a tuple, or the
            keys wanted from a mapping.
        adaptors: further outputs by name, each computed from an output by an :class:`Adaptor`.

    Example:
        >>> import torch
        >>> student = Student(torch.nn.Conv2d(3, 17, 1), inputs="image", outputs="heatmap")
        >>> student({"image": torch.zeros(2, 3, 64, 48)})["heatmap"].shape
        torch.Size([2, 17, 64, 48])
    """

    def __init__(
        self,
        module: nn.Module,
        inputs: str | Sequence[str] = "image",
        outputs: str | Sequence[str] = "heatmap",
        *,
        adaptors: Mapping[str, Adaptor] | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(module, nn.Module):
            raise ConfigurationError(f"the student's module is a {type(module).__name__}, not an nn.Module")
        self.reads = as_names(inputs)
        self.module_outputs = as_names(outputs)
        self.module = module
        adaptors = dict(adaptors or {})
        self._check_adaptors(adaptors)
        self.adaptor_sources = {name: adaptor.source for name, adaptor in adaptors.items()}
        self.adaptors = nn.ModuleDict({name: adaptor.module for name, adaptor in adaptors.items()})
        self._trainable = {name for name, value in module.named_parameters() if value.requires_grad}
        self._frozen: tuple[str, ...] = ()

    def _check_adaptors(self, adaptors: Mapping[str, Adaptor]) -> None:
        for name, adaptor in adaptors.items():
            if adaptor.source not in self.module_outputs:
                raise ConfigurationError(
                    f"adaptor '{name}' reads the student's output '{adaptor.source}', which is not among "
                    f"{list(self.module_outputs)}"
                )
            if name in self.module_outputs or "." in name:
                raise ConfigurationError(
                    f"adaptor '{name}': its name must differ from every output and hold no dot"
                )

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of everything that :meth:`forward` returns."""
        return (*self.module_outputs, *self.adaptor_sources)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return every output and every adapted output by name, batch dimension first.

        Raises:
            BatchError: if the batch lacks a field that the student reads.
        """
        result = self.module(*read_fields(batch, self.reads, "the student"))
        named = name_outputs(result, self.module_outputs, "the student")
        for name, adaptor in self.adaptors.items():
            named[name] = adaptor(named[self.adaptor_sources[name]])
        return named

    def freeze(self, prefixes: Sequence[str]) -> None:
        """Freeze the named parts of the module, and only those: no gradient, and eval mode.

        Args:
            prefixes: dotted names of submodules or parameters of the module; none to thaw everything.
                What was frozen before the student was made stays frozen.

        Raises:
            ConfigurationError: if a prefix names nothing.
        """
        self.check_parts(prefixes)
        self._frozen = tuple(prefixes)
        for name, parameter in self.module.named_parameters():
            parameter.requires_grad_(name in self._trainable and not self._is_frozen(name))
        self.train(self.training)

    def check_parts(self, prefixes: Sequence[str]) -> None:
        """Raise a ConfigurationError if a prefix names no parameter of the module."""
        names = [name for name, _ in self.module.named_parameters()]
        for prefix in prefixes:
            if not any(_is_below(name, prefix) for name in names):
                raise ConfigurationError(
                    f"the part '{prefix}' to freeze is not in the student: its parts are "
                    f"{[name for name, _ in self.module.named_children()]}"
                )

    def train(self, mode: bool = True) -> Self:
        """Set train mode, except in frozen parts, whose BatchNorm statistics must not move."""
        super().train(mode)
        for name, module in self.module.named_modules():
            if name and self._is_frozen(name):
                module.eval()
        return self

    def _is_frozen(self, name: str) -> bool:
        return any(_is_below(name, prefix) for prefix in self._frozen)


def _is_below(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")
