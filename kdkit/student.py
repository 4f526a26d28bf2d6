"""The student: an unmodified network, with adaptors beside it."""

from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import Tensor, nn

from kdkit.adaptors import Adaptor
from kdkit.batch import Batch, as_names, read_fields
from kdkit.errors import ConfigurationError
from kdkit.features import Features
from kdkit.outputs import name_outputs
from kdkit.teacher import Teacher


class Student(nn.Module):
    """A network that learns, unmodified, and optional adaptors beside it.

    The network is neither wrapped nor re-classed: ``student.module`` is the object handed in, and its state
    dict is the export. Features are returned by the network, as a tuple or a mapping, or named by module path;
    no hook is registered.

    Args:
        module: the network.
        inputs: the batch field or fields it reads, passed in order.
        outputs: the name or names of what it returns: one for a tensor, several in order for a tuple, or the
            keys wanted from a mapping.
        features: further outputs by name: what submodules return, by their path (:class:`Features`).
        adaptors: further outputs by name, each computed from an output or feature by an :class:`Adaptor`.
        required: outputs that every stage of a curriculum must have an objective for, of weight 0 where it shall
            not learn: of a network that fails silently when one of several is left untrained.

    Raises:
        ConfigurationError: if names are taken twice or unknown, or the module is none.

    Example:
        >>> import torch
        >>> student = Student(torch.nn.Conv2d(3, 17, 1), inputs="image", outputs="heatmap")
        >>> student({"image": torch.zeros(2, 3, 64, 48)})["heatmap"].shape
        torch.Size([2, 17, 64, 48])

        A feature, and an adaptor of it to a teacher's 32 channels:

        >>> network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 1), torch.nn.ReLU(), torch.nn.Conv2d(8, 17, 1))
        >>> student = Student(network, features={"hidden": "1"}, adaptors={"wide": Adaptor.conv("hidden", 8, 32)})
        >>> {name: list(value.shape) for name, value in student({"image": torch.zeros(2, 3, 4, 4)}).items()}
        {'heatmap': [2, 17, 4, 4], 'hidden': [2, 8, 4, 4], 'wide': [2, 32, 4, 4]}
    """

    def __init__(
        self,
        module: nn.Module,
        inputs: str | Sequence[str] = "image",
        outputs: str | Sequence[str] = "heatmap",
        *,
        features: Mapping[str, str] | None = None,
        adaptors: Mapping[str, Adaptor] | None = None,
        required: str | Sequence[str] = (),
    ) -> None:
        super().__init__()
        if not isinstance(module, nn.Module):
            raise ConfigurationError(f"the student's module is a {type(module).__name__}, not an nn.Module")
        self.reads = as_names(inputs)
        self.module_outputs = as_names(outputs)
        if len(set(self.module_outputs)) < len(self.module_outputs):
            raise ConfigurationError(f"the student has two outputs of one name: {list(self.module_outputs)}")
        self.module = module
        self.features = Features(module, features or {}, "the student")
        for name in self.features.places:
            if name in self.module_outputs:
                raise ConfigurationError(f"the student has an output and a feature named '{name}': rename one")
        self.adaptors = nn.ModuleDict()
        self.adaptor_sources: dict[str, str | None] = {}
        for name, adaptor in (adaptors or {}).items():
            self.attach(name, adaptor)
        self.required = as_names(required)
        for name in self.required:
            if name not in self.outputs:
                raise ConfigurationError(
                    f"the student has no output '{name}' to require, only {list(self.outputs)}"
                )
        self._trainable = {name for name, value in module.named_parameters() if value.requires_grad}
        self._frozen: tuple[str, ...] = ()
        self.learning: tuple[str, ...] | None = None
        """The outputs that have a gradient; None for all. A compiled student needs it, see its distiller."""

    def attach(self, name: str, adaptor: Adaptor) -> None:
        """Put an adaptor beside the network; its output is one of the student's from then on.

        The optimizer must be made afterwards, so that it trains the adaptor too.

        Raises:
            ConfigurationError: if its name is taken or holds a dot, or its source is no output or feature.
        """
        sources = (*self.module_outputs, *self.features.places)
        if adaptor.source is not None and adaptor.source not in sources:
            raise ConfigurationError(
                f"adaptor '{name}' reads the student's output '{adaptor.source}', which is not among "
                f"{list(sources)}"
            )
        if name in self.outputs or "." in name or (":" in name and adaptor.source is not None):
            raise ConfigurationError(
                f"adaptor '{name}': its name must differ from every output and hold no dot or colon"
            )
        device = next((value.device for value in self.parameters()), None)
        self.adaptors[name] = adaptor.module if device is None else adaptor.module.to(device)
        self.adaptor_sources[name] = adaptor.source

    def detach(self, name: str) -> None:
        """Take an adaptor away, where there is one of that name."""
        if name in self.adaptors:
            del self.adaptors[name], self.adaptor_sources[name]

    def adapt(self, name: str, source: str, teacher: Teacher, batch: Batch, target: str = "") -> Adaptor:
        """Attach the adaptor that brings one of the outputs to the shape of a teacher's; both are run once.

        Args:
            name: of the adapted output.
            source: the student's output or feature.
            teacher: the teacher, on the student's device.
            batch: any batch that both can read, on the same device.
            target: the teacher's output; named as the source by default.

        Raises:
            ConfigurationError: if there is no such output, or the shapes cannot be brought together.

        Example:
            >>> import torch
            >>> from kdkit import ModuleTeacher
            >>> batch = {"image": torch.zeros(2, 3, 8, 8)}
            >>> wide = torch.nn.Sequential(torch.nn.Conv2d(3, 32, 2, stride=2), torch.nn.Conv2d(32, 5, 1))
            >>> teacher = ModuleTeacher("wide", wide, "image", "heatmap", features={"hidden": "0"})
            >>> narrow = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 1), torch.nn.Conv2d(8, 5, 1))
            >>> student = Student(narrow, features={"hidden": "0"})
            >>> student.adapt("hidden_wide", "hidden", teacher, batch).module
            Sequential(
              (0): ResizeTo(height=4, width=4)
              (1): Conv2d(8, 32, kernel_size=(1, 1), stride=(1, 1))
            )
        """
        target = target or source
        if source not in self.outputs:
            raise ConfigurationError(
                f"adaptor '{name}': the student has no output '{source}', only {list(self.outputs)}"
            )
        if target not in teacher.outputs:
            raise ConfigurationError(
                f"adaptor '{name}': teacher '{teacher.name}' has no output '{target}', only "
                f"{list(teacher.outputs)}"
            )
        modes = [(module, module.training) for module in self.modules()]
        self.eval()  # BatchNorm's running statistics stay as they are
        try:
            with torch.no_grad():
                own = self(batch)[source]
        finally:
            for module, mode in modes:
                module.training = mode
        adaptor = Adaptor.between(source, own.shape, teacher.targets(batch)[target].shape)
        self.attach(name, adaptor)
        return adaptor

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of everything that :meth:`forward` returns."""
        return (*self.module_outputs, *self.features.places, *self.adaptor_sources)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Return every output, feature and adapted output by name, batch dimension first.

        Raises:
            BatchError: if the batch lacks a field that the student reads.
        """
        inputs = read_fields(batch, self.reads, "the student")
        result, features = self.features.run(self.module, inputs)
        named = name_outputs(result, self.module_outputs, "the student")
        named.update(features)
        for name, adaptor in self.adaptors.items():
            source = self.adaptor_sources[name]
            named[name] = adaptor() if source is None else adaptor(named[source])
        if self.learning is None:
            return named
        return {name: value if name in self.learning else value.detach() for name, value in named.items()}

    def freeze(self, prefixes: Sequence[str]) -> None:
        """Freeze the named parts of the module, and only those: no gradient, and eval mode.

        Args:
            prefixes: dotted names of submodules or parameters of the module; none to thaw everything.
                What was frozen before the student was made stays frozen, but for its BatchNorm statistics, which
                move as PyTorch has it in train mode: name it here to keep these, too.

        Raises:
            ConfigurationError: if a prefix names nothing.
        """
        self.check_parts(prefixes)
        if not prefixes and not self._frozen:
            return
        self._frozen = tuple(prefixes)
        for name, parameter in self.module.named_parameters():
            parameter.requires_grad_(name in self._trainable and not self._is_frozen(name))
        self.train(self.training)

    def trainable(self, freeze: Sequence[str] = ()) -> frozenset[str]:
        """The names of the module's parameters that train while the named parts are frozen."""
        return frozenset(name for name in self._trainable if not any(_is_below(name, part) for part in freeze))

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
