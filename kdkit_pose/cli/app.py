"""The commands, and how errors are shown."""

import sys

import typer
from rich.console import Console

from kdkit import KdkitError
from kdkit_pose.cli.demo import demo
from kdkit_pose.cli.distill import distill
from kdkit_pose.cli.evaluate import evaluate
from kdkit_pose.cli.score import score
from kdkit_pose.cli.synthesize import synthesize
from kdkit_pose.cli.train import train

app = typer.Typer(
    name="kdkit-pose",
    help="Distil human pose networks: train teachers, distil students, evaluate them as COCO does.",
    epilog="Put --debug anywhere to see the traceback of an error.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for command in (demo, synthesize, train, distill, evaluate, score):
    app.command()(command)


def main() -> None:
    """Run the command line: errors a user can mend are one line on standard error and exit code 2."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    try:
        app(arguments)
    except (KdkitError, OSError) as error:
        if debug:
            raise
        text = " ".join(str(error).split())
        Console(stderr=True).print(f"error: {text}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
