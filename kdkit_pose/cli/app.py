"""The commands, and how errors are shown."""

import sys

import typer
from rich.console import Console

from kdkit import KdkitError
from kdkit_pose.cli.demo import demo
from kdkit_pose.cli.distill import distill
from kdkit_pose.cli.evaluate import evaluate
from kdkit_pose.cli.export import export
from kdkit_pose.cli.masks import predict_masks, train_masks
from kdkit_pose.cli.models import models
from kdkit_pose.cli.predict import predict
from kdkit_pose.cli.score import score
from kdkit_pose.cli.synthesize import synthesize
from kdkit_pose.cli.train import train

# Typer brings its own click or uses an installed one, depending on its version: this is the base of its errors.
UsageError: type[Exception] = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="kdkit-pose",
    help="Distil human pose networks: train teachers, distil students, evaluate them as COCO does.",
    epilog="Put --debug anywhere to see the traceback of an error.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    demo,
    synthesize,
    train,
    distill,
    evaluate,
    predict,
    score,
    export,
    models,
    train_masks,
    predict_masks,
):
    app.command()(command)


def main() -> None:
    """Run the command line: errors a user can mend are one line on standard error and exit code 2."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    try:
        # Commands return None; help and an interruption give an exit code.
        sys.exit(app(arguments or ["--help"], standalone_mode=False))
    except (KdkitError, OSError, UsageError) as error:
        if debug:
            raise
        Console(stderr=True).print(f"error: {_line(error)}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)


def _line(error: Exception) -> str:
    """Return an error's text in one line."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, UsageError):
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "kdkit-pose"
        return f"{error.format_message().rstrip('.')}; see {command} --help"  # type: ignore[attr-defined]
    return "; ".join(" ".join(line.split()) for line in str(error).splitlines() if line.strip())
