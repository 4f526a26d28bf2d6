"""The state of a run between two optimizer steps, as a checkpoint holds it."""

from collections.abc import Mapping
from typing import Any

from kdkit.distiller import Distiller
from kdkit.errors import CheckpointError
from kdkit.training.engine import Engine
from kdkit.training.epochs import Epochs
from kdkit.training.evaluation import Evaluation
from kdkit.training.learning_rate import LearningRate
from kdkit.training.optimizer_step import OptimizerStep
from kdkit.training.random_state import capture_random_state, restore_random_state
from kdkit.training.silent_errors import SilentErrors

# What is restored; "errors" and "loader_random" are not in checkpoints of earlier versions.
_NEEDED = (
    *("network", "student", "adaptors", "averaged", "optimizer", "scaler", "distiller"),
    *("best", "monitor", "metrics", "last_step", "losses", "batches", "seconds", "random", "epoch_random"),
)


class RunState:
    """Takes the state of a run's parts, and puts them back.

    Args:
        distiller, engine, step, rate, epochs, evaluation, errors: the parts.
        metadata: strings that go into the checkpoint.
    """

    def __init__(
        self,
        distiller: Distiller,
        engine: Engine,
        step: OptimizerStep,
        rate: LearningRate,
        epochs: Epochs,
        evaluation: Evaluation,
        errors: SilentErrors,
        metadata: Mapping[str, str],
    ) -> None:
        self._distiller, self._engine, self._step = distiller, engine, step
        self._rate, self._epochs, self._evaluation = rate, epochs, evaluation
        self._errors, self._metadata = errors, dict(metadata)

    def capture(self, batches: int, seconds: float) -> dict[str, Any]:
        """Return the state.

        Args:
            batches: done in the running epoch.
            seconds: that the run took so far.
        """
        return {
            **self._engine.state_dict(),
            "distiller": self._distiller.state_dict(),
            "batches": batches,
            "losses": self._step.losses.state_dict(),
            **self._evaluation.state_dict(),
            "last_step": {"stage": self._step.stage, "learning_rate": self._rate.current},
            "seconds": seconds,
            "random": capture_random_state(),
            "loader_random": self._epochs.generator_states(),
            "epoch_random": self._epochs.start_state,
            "metadata": self._metadata,
            "errors": self._errors.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put all parts where :meth:`capture` was called.

        Raises:
            CheckpointError: if the state is of another network or curriculum, or lacks something.
        """
        if missing := [name for name in _NEEDED if name not in state]:
            raise CheckpointError(
                f"the checkpoint lacks {', '.join(missing)}: it is not one of a run, or of another version"
            )
        self._step.forget()
        self._engine.load_state_dict(state)
        self._distiller.load_state_dict(state["distiller"])
        self._evaluation.load_state_dict(state)
        # The line of an epoch whose last step was saved tells of that step.
        self._step.stage = state["last_step"]["stage"]
        self._rate.current = state["last_step"]["learning_rate"]
        self._step.losses.load_state_dict(state["losses"])
        self._errors.load_state_dict(state.get("errors", {}))
        self._epochs.restore_generators(state.get("loader_random", []))
        restore_random_state(state["random"])
