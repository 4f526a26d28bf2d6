"""The processes that train one student together, and what they tell each other."""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, distributed
from torch.utils.data import DataLoader, IterableDataset

from kdkit.errors import ConfigurationError, KdkitError
from kdkit.shared_batches import OwnBatches, with_batch_sampler

if distributed.is_available():
    # Its functions' defaults are the process group that there is when it is imported. DDP imports it late; then
    # the group outlives destroy_process_group, and its threads now and then abort a process that ends. Imported
    # here, it comes before there is a group, and keeps none.
    import torch.distributed.nn.functional

T = TypeVar("T")


def stays_on_cpu(asked: bool) -> bool:
    """Return whether to stay on the CPU: as asked, and where several processes were started without a GPU.

    Accelerate joins such processes only if it is told so.
    """
    started = int(os.environ.get("WORLD_SIZE", "1")) > 1
    return asked or (started and not (torch.cuda.is_available() or torch.xpu.is_available()))


class Processes:
    """This process among those of its group; alone, all that it is told is what it said itself.

    What it exchanges as Python objects goes by torch's pickle between them: processes of one run trust each other.

    Args:
        rank: this process's number, from 0.
        count: how many there are.
        device: where tensors are exchanged.
    """

    def __init__(self, rank: int = 0, count: int = 1, device: torch.device | None = None) -> None:
        self.rank, self.count = rank, count
        self._device = device or torch.device("cpu")

    @classmethod
    def current(cls, device: torch.device | None = None) -> "Processes":
        """Return those of torch's process group, or one alone where there is none.

        Args:
            device: where tensors are exchanged: with NCCL this process's GPU.
        """
        if not (distributed.is_available() and distributed.is_initialized()):
            return cls(device=device)
        return cls(distributed.get_rank(), distributed.get_world_size(), device)

    @property
    def several(self) -> bool:
        """Whether there are others."""
        return self.count > 1

    @property
    def is_main(self) -> bool:
        """Whether it is the first, which writes files."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """Return which of a batch's samples, in order, are this process's: as many as the others', or one more.

        Raises:
            ConfigurationError: if there are fewer samples than processes.

        >>> [Processes(rank, 3).share(8) for rank in range(3)]
        [slice(0, 2, None), slice(2, 5, None), slice(5, 8, None)]
        """
        if count < self.count:
            raise ConfigurationError(
                f"a batch of {count} samples cannot be shared among {self.count} processes: give larger batches "
                f"(a loader's batch is that of all processes together) and drop_last=True, or fewer processes"
            )
        return slice(self.rank * count // self.count, (self.rank + 1) * count // self.count)

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of every process's values, of one shape and type, on their device."""
        if not self.several:
            return values
        total = values.detach().clone()
        distributed.all_reduce(total)
        return total / self.count

    def largest(self, number: int) -> int:
        """Return the largest of every process's numbers; this waits for the device."""
        if not self.several:
            return number
        value = torch.tensor(number, device=self._device)
        distributed.all_reduce(value, op=distributed.ReduceOp.MAX)
        return int(value)

    def from_main(self, value: T) -> T:
        """Return the first process's value."""
        if not self.several:
            return value
        values = [value if self.is_main else None]
        distributed.broadcast_object_list(values, src=0)
        return values[0]  # type: ignore[return-value]

    def by_main(self, work: Callable[[], T]) -> T:
        """Return what the work gave that the first process alone does.

        Raises:
            KdkitError: the one that the work ended with, in every process.
        """
        value: T | None = None
        refusal: KdkitError | None = None
        if self.is_main:
            try:
                value = work()
            except KdkitError as error:
                refusal = error
        value, refusal = self.from_main((value, refusal))
        if refusal is not None:
            raise refusal
        return value  # type: ignore[return-value]

    def main_first(self, work: Callable[[], T]) -> T:
        """Return what the work gives here; the other processes begin it when the first one is done.

        Raises:
            KdkitError: the one that the first process's work ended with, in every process.
        """
        given: list[T] = []
        self.by_main(lambda: given.append(work()))
        return given[0] if self.is_main else work()

    def gathered(self, value: T) -> list[T]:
        """Return every process's value, in the order of their numbers."""
        if not self.several:
            return [value]
        values: list[T | None] = [None] * self.count
        distributed.all_gather_object(values, value)
        return values  # type: ignore[return-value]

    def copy_from_main(self, values: Sequence[Tensor]) -> None:
        """Overwrite tensors on the exchanging device by the first process's."""
        if self.several:
            for value in values:
                distributed.broadcast(value, src=0)

    def part_of(self, batches: Iterable[T]) -> Iterable[T] | None:
        """Return this process's batches of those that several work through together, each once.

        They lie side by side: those of the first process, then those of the second. A ``DataLoader`` reads only
        its own.

        Args:
            batches: their number is known, and they are the same in every process.

        Returns:
            The batches, or None where they cannot be parted since their number is not known.
        """
        if not self.several:
            return batches
        try:
            count = len(batches)  # type: ignore[arg-type]
        except TypeError:
            return None
        own = range(self.rank * count // self.count, (self.rank + 1) * count // self.count)
        if not isinstance(batches, DataLoader) or isinstance(batches.dataset, IterableDataset):
            return OwnBatches(batches, own)
        if batches.batch_sampler is not None:
            return with_batch_sampler(batches, OwnBatches(batches.batch_sampler, own))
        return OwnBatches(batches, own)
