"""A teacher whose weights are spread over the processes that train together."""

from collections.abc import Iterable
from typing import Any, Self

import torch
from torch import Tensor, nn

from kdkit.batch import Batch
from kdkit.errors import ConfigurationError
from kdkit.module_teacher import ModuleTeacher
from kdkit.processes import Processes
from kdkit.teacher import Teacher

# They have no forward of their own, at which weights could be gathered.
_CONTAINERS = (nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)


class ShardedTeacher(Teacher):
    """A network as a teacher, of which each process holds a part: for one that does not fit into a GPU's memory.

    By torch's FSDP2: at every call each unit of the network is gathered, used and let go again, so that a process
    needs room for its part and for the largest unit or two. That costs a message a unit, so leave a teacher that
    fits as it is. Every process must call it equally often, as training does. It stays on its device, also in
    stages that do not need it.

    Args:
        teacher: the network, as it was loaded on the CPU; it belongs to this teacher from then on.
        unit: a unit is the smallest module with so many parameters or more that are in no smaller one.
        device: where its parts are; by default this process's GPU, or the CPU where there is none.

    Raises:
        ConfigurationError: if there is no process group yet, or the teacher is no network's.

    Source: Zhao et al., PyTorch FSDP (arXiv 2304.11277).
    """

    def __init__(
        self, teacher: ModuleTeacher, *, unit: int = 1_000_000, device: torch.device | str | None = None
    ) -> None:
        if type(teacher).targets is not ModuleTeacher.targets:
            raise ConfigurationError(
                f"teacher '{teacher.name}' is a {type(teacher).__name__}: only a network can be sharded, as "
                f"ShardedTeacher(ModuleTeacher(...))"
            )
        if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            raise ConfigurationError(
                f"teacher '{teacher.name}' cannot be sharded, for there is no process group yet: start the script "
                f"by torchrun or accelerate launch, and call accelerate.PartialState() before this"
            )
        # Only here: not every build of torch has them.
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.name, self.reads, self.outputs = teacher.name, teacher.reads, teacher.outputs
        self._teacher, self._device = teacher, chosen
        # Of the whole weights, which no process has afterwards.
        self._fingerprint = teacher.fingerprint()
        mesh = init_device_mesh(chosen.type, (Processes.current().count,))
        self.units = 0
        """In how many parts the network is gathered."""
        for module in (*units_of(teacher.module, unit), teacher.module):
            # Said, since torch keeps what is in no unit whole, for a backward pass that never comes.
            fully_shard(module, mesh=mesh, reshard_after_forward=True)
            self.units += 1

    @property
    def module(self) -> nn.Module:
        """The network, whose parameters are distributed tensors."""
        return self._teacher.module

    @property
    def convention(self) -> Any:
        """The network's."""
        return self._teacher.convention

    @property
    def usage(self) -> Any:
        """The network's."""
        return self._teacher.usage

    def targets(self, batch: Batch) -> dict[str, Tensor]:
        """Return the network's outputs for this process's batch; see :meth:`ModuleTeacher.targets`."""
        return self._teacher.targets(batch)

    def to(self, device: torch.device) -> Self:
        """Stay where it is.

        Raises:
            ConfigurationError: if it is needed on a device of another kind.
        """
        if device.type not in (self._device.type, "cpu"):
            raise ConfigurationError(
                f"teacher '{self.name}' was sharded on '{self._device.type}' and is needed on '{device.type}': "
                f"give ShardedTeacher(..., device='{device.type}')"
            )
        return self

    def parameters(self) -> Iterable[nn.Parameter]:
        """Return the network's parameters, as distributed tensors."""
        return self._teacher.parameters()

    def fingerprint(self) -> str | None:
        """Return the hash of the whole network, see :meth:`ModuleTeacher.fingerprint`."""
        return self._fingerprint

    def __repr__(self) -> str:
        return f"ShardedTeacher({self._teacher!r}, in {self.units} units)"


def units_of(network: nn.Module, size: int) -> list[nn.Module]:
    """Return the modules below a network that are gathered one at a time, the inner before the outer.

    Args:
        network: the network.
        size: the parameters that a unit has at least, not counting those of units within it.
    """
    units: list[nn.Module] = []

    def collect(module: nn.Module) -> int:
        left = sum(value.numel() for value in module.parameters(recurse=False))
        left += sum(collect(child) for child in module.children())
        if left < size or module is network or isinstance(module, _CONTAINERS):
            return left
        units.append(module)
        return 0

    collect(network)
    return units
