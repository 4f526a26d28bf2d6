"""What notices that a run goes wrong in silence: a teacher that is another one, a loss that spikes."""

from collections.abc import Mapping
from typing import Any

from kdkit.batch import Batch
from kdkit.distiller import Distiller
from kdkit.stage import Stage
from kdkit.training.engine import Engine
from kdkit.training.preparation import Preparation
from kdkit.training.progress import TrainingProgress
from kdkit.training.spike_guard import Spike, SpikeGuard, as_spike
from kdkit.training.teacher_watch import TeacherWatch


class SilentErrors:
    """A run's :class:`TeacherWatch` and :class:`SpikeGuard`, at the moments at which they look.

    Args:
        distiller: student and teachers.
        engine: computes.
        prepare: knows where batches are and how they are laid out.
        progress: shows what is only worth a line.
        spike: what counts as a spike, or its factor; None watches for none.
    """

    def __init__(
        self,
        distiller: Distiller,
        engine: Engine,
        prepare: Preparation,
        progress: TrainingProgress,
        spike: float | Spike | None,
    ) -> None:
        self.spikes = SpikeGuard(as_spike(spike), progress.say, engine.processes)
        self._teachers = TeacherWatch(distiller, prepare, engine.device, progress.say)

    def begin(self, batch: Batch) -> None:
        """Keep what the teachers give for the run's first batch, ready to learn from; once a run."""
        self._teachers.begin(batch)

    def enter(self, stage: Stage) -> None:
        """Begin a stage: its teachers are checked, and what is usual of its losses is learned anew.

        Raises:
            ConfigurationError: if a teacher is another one than when the run began.
        """
        self.spikes.begin_stage()
        self._teachers.check(f"at the start of stage '{stage.name}'")

    def resume(self) -> None:
        """Check the teachers of a run that is gone on with.

        Raises:
            ConfigurationError: if one is another one than when the run began.
        """
        self._teachers.check("after the run was taken up again")

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know."""
        return {"teachers": self._teachers.state_dict(), "spikes": self.spikes.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state_dict`, or from nothing, as an older checkpoint holds."""
        self._teachers.load_state_dict(state.get("teachers", {}))
        self.spikes.load_state_dict(state.get("spikes", {}))
