"""What can be known to be wrong with a trainer's settings before it runs."""

from collections.abc import Mapping

from kdkit.curriculum import Curriculum
from kdkit.errors import ConfigurationError


def check_settings(
    counts: Mapping[str, int], ema: float | None, clip_norm: float | None, mode: str, export: str
) -> None:
    """Check each setting's range.

    Args:
        counts: settings that must be at least 1, by name.
        ema: in (0, 1), or None.
        clip_norm: above 0, or None.
        mode: ``max`` or ``min``.
        export: ``best`` or ``last``.

    Raises:
        ConfigurationError: naming the setting, what was found and what it must be.
    """
    for name, value in counts.items():
        if value < 1:
            raise ConfigurationError(f"Trainer: {name} is {value}, it must be at least 1")
    if ema is not None and not 0 < ema < 1:
        raise ConfigurationError(f"Trainer: ema is {ema}, it must be between 0 and 1")
    if clip_norm is not None and clip_norm <= 0:
        raise ConfigurationError(f"Trainer: clip_norm is {clip_norm}, it must be above 0")
    if mode not in ("max", "min") or export not in ("best", "last"):
        raise ConfigurationError(
            f"Trainer: mode '{mode}' must be 'max' or 'min', export '{export}' 'best' or 'last'"
        )


def check_stages(curriculum: Curriculum, evaluates: bool, monitor: str | None, mode: str) -> None:
    """Check that stages that wait for metrics get them, and judge the monitored one as the trainer does.

    Raises:
        ConfigurationError: naming the stage and the metric.
    """
    awaited = {name for stage in curriculum for name in stage.until.metrics()}
    if awaited and not evaluates:
        raise ConfigurationError(f"a stage waits for {sorted(awaited)}: give the Trainer evaluate=...")
    for stage in curriculum:
        for name, other in stage.until.modes():
            if name == monitor and other != mode:
                raise ConfigurationError(
                    f"stage '{stage.name}' ends by '{name}' with mode='{other}', and the Trainer monitors it with "
                    f"mode='{mode}': say in both whether larger ('max') or smaller ('min') is better"
                )
