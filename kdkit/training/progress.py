"""What a run shows while it works."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from kdkit.curriculum import Curriculum


class TrainingProgress:
    """A bar for the running epoch and a line for every epoch that ended, on standard error.

    Args:
        enabled: False shows nothing.
    """

    def __init__(self, enabled: bool) -> None:
        self._console = Console(stderr=True, quiet=not enabled)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            # Without a terminal a bar is noise; the lines remain.
            disable=not enabled or not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", visible=False)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, notes: Sequence[str]) -> None:
        """Print what the user should know before it begins, a line each."""
        for note in notes:
            self._console.print(note, highlight=False, markup=False, soft_wrap=True)

    def resume(self, folder: str, curriculum: Curriculum, batches: int) -> None:
        """Print where a run that was there already goes on, or that it is finished."""
        if curriculum.finished:
            standing = f"is finished, after {curriculum.epochs} epochs and {curriculum.steps} steps"
        else:
            stage = curriculum.stage.name
            standing = f"goes on in epoch {curriculum.epochs + 1} after {batches} batches, stage {stage}"
        self._console.print(f"{folder} {standing}", highlight=False, markup=False, soft_wrap=True)

    def begin(self, epoch: int, stage: str, batches: int | None, done: int) -> None:
        """Show a new epoch's bar."""
        description = f"epoch {epoch + 1}, stage {escape(stage)}"
        self._bar.reset(self._task, total=batches, completed=done, description=description, visible=True)

    def advance(self, batches: int) -> None:
        """Count batches."""
        if not self._bar.disable:
            self._bar.advance(self._task, batches)

    def end(self, line: Mapping[str, object], monitor: str | None) -> None:
        """Print the line of an epoch that ended: its losses, and the monitored metric where there is one."""
        losses = {
            escape(name.removeprefix("loss/")): value for name, value in line.items() if name.startswith("loss/")
        }
        if len(losses) == 2:  # the total of one objective says nothing new
            del losses["total"]
        values = [f"{name} {value:.3g}" for name, value in losses.items()]
        if monitor is not None and monitor in line:
            values.append(f"[bold]{escape(monitor)} {line[monitor]:.3f}[/bold]")
        self._console.print(
            f"epoch {line['epoch']}  step {line['step']}  stage {escape(str(line['stage']))}  "
            + "  ".join(values),
            highlight=False,
            soft_wrap=True,
        )
