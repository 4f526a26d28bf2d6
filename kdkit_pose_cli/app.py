"""The list of commands, and how errors are shown."""

import sys
from importlib import import_module
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup
from typer.main import get_command

from kdkit_pose_cli.several_processes import joined, whose

# By a command's name, behind its group's where it is in one, the module with the function of that name, and the
# first line of the function's docstring.
COMMANDS = {
    "demo": (
        "kdkit_pose.cli.demo",
        "Run ODKD from end to end on built-in synthetic people, in minutes on two cores.",
    ),
    "synthesize": ("kdkit_pose.cli.synthesize", "Draw synthetic people as a COCO-format data set."),
    "pack": (
        "kdkit_pose.cli.pack",
        "Cut a data set's persons out once, for training that decodes no pictures.",
    ),
    "shard": (
        "kdkit_pose.cli.shard",
        "Cut a data set's persons into shards, for training that reads one after the other.",
    ),
    "cache build": (
        "kdkit_pose.cli.cache_build",
        "Run a teacher once for all, and keep its heatmaps.",
    ),
    "cache verify": (
        "kdkit_pose.cli.cache_contents",
        "Look at every record, and name a damaged shard.",
    ),
    "cache info": ("kdkit_pose.cli.cache_contents", "Say what a cache holds and what it was made of."),
    "train": ("kdkit_pose.cli.train", "Train a teacher, or a plain student, on ground truth."),
    "distill": ("kdkit_pose.cli.distill", "Distil a student from its teachers by a recipe."),
    "ablate": ("kdkit_pose.cli.ablate", "Compare recipes over seeds, at equal epochs, in pairs."),
    "evaluate": ("kdkit_pose.cli.evaluate", "Evaluate a network as COCO does, or two and their difference."),
    "predict": ("kdkit_pose.cli.predict", "Find people's keypoints in pictures, and draw them."),
    "score": (
        "kdkit_pose.cli.score",
        "Score a results file with COCO's keypoint metrics, or two and their difference.",
    ),
    "export": (
        "kdkit_pose.cli.export",
        "Write a network as ONNX or safetensors, compared with PyTorch's before it is kept.",
    ),
    "models": (
        "kdkit_pose.cli.models",
        "List the networks: parameters, multiply-adds, and latency measured here.",
    ),
    "train-masks": (
        "kdkit_pose.cli.masks",
        "Train a predictor of persons' masks on a data set's own masks.",
    ),
    "predict-masks": (
        "kdkit_pose.cli.masks",
        "Predict masks for persons who have none, into a file beside the data.",
    ),
}

GROUPS = {"cache": "Keep teachers' heatmaps on disk, and look after them."}
"""Commands that others are under, and what these do."""

# Typer brings its own click or uses an installed one, depending on its version: this is the base of its errors.
UsageError: type[Exception] = typer.BadParameter.__mro__[2]


def load_command(name: str) -> Any:
    """Import a command's module, and return the command as click's object."""
    module, _ = COMMANDS[name]
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    function = name.replace("-", "_").replace(" ", "_")
    single.command(name.split()[-1])(getattr(import_module(module), function))
    return get_command(single)


class Commands(TyperGroup):
    """Imports a command's module when the command is called, and none to list the commands."""

    # Of typer's own click or an installed one: hence no types.
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the name, the command and the arguments left, or raise click's error for an unknown name."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is None or isinstance(command, Commands):
            return name, command, rest
        return name, load_command(f"{self.name} {name}" if self.name in GROUPS else name), rest

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the list above, groups among the others."""
        order = list(dict.fromkeys(name.split()[0] for name in COMMANDS))
        return sorted(super().list_commands(ctx), key=lambda name: order.index(name) if name in order else 0)


app = typer.Typer(
    name="kdkit-pose",
    cls=Commands,
    help="Distil human pose networks: train teachers, distil students, evaluate them as COCO does.",
    epilog="Put --debug anywhere to see the traceback of an error.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _listed() -> None:
    """Stand for a command in the list."""


groups = {
    group: typer.Typer(cls=Commands, no_args_is_help=True, add_completion=False, rich_markup_mode=None)
    for group in GROUPS
}
for group, summary in GROUPS.items():
    app.add_typer(groups[group], name=group, help=summary)
for command, (_, summary) in COMMANDS.items():
    *above, own = command.split()
    (groups[above[0]] if above else app).command(own, help=summary)(_listed)


def main() -> None:
    """Run the command line: errors a user can mend are one line on standard error and exit code 2."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    try:
        if not arguments or (len(arguments) == 1 and arguments[0] in GROUPS):
            arguments.append("--help")
        with joined(arguments):
            # Commands return None; help and an interruption give an exit code.
            sys.exit(app(arguments, standalone_mode=False))
    except Exception as error:
        if debug or not _can_be_mended(error):
            raise
        message = f"error{whose()}: {_line(error)}"
        Console(stderr=True).print(message, markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)


def _can_be_mended(error: Exception) -> bool:
    """Return whether a user can mend an error's cause."""
    if isinstance(error, (OSError, UsageError)):
        return True
    # Only here, where the command that failed has imported it already.
    from kdkit import KdkitError

    return isinstance(error, KdkitError)


def _line(error: Exception) -> str:
    """Return an error's text in one line."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, UsageError):
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "kdkit-pose"
        return f"{error.format_message().rstrip('.')}; see {command} --help"  # type: ignore[attr-defined]
    return "; ".join(" ".join(line.split()) for line in str(error).splitlines() if line.strip())
