"""Groups of options: spread for the command line, and collected again for the command."""

import inspect
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from kdkit_pose.cli.grouped import grouped


@dataclass(frozen=True)
class Size:
    width: Annotated[int, typer.Option(help="How wide.")]
    height: Annotated[int, typer.Option("--tall", help="How tall.")] = 7


@dataclass(frozen=True)
class Tall(Size):
    height: Annotated[int, typer.Option("--tall", help="How very tall.")] = 70


def made(kind=Size):
    seen = []

    @grouped
    def draw(
        context: typer.Context,
        *,
        colour: Annotated[str, typer.Option(help="Which.")] = "red",
        size: kind,
        name: Annotated[str, typer.Option(help="Whose.")],
    ) -> None:
        """Draw."""
        seen.append((context.info_name, colour, size, name))

    app = typer.Typer(rich_markup_mode=None)
    app.command()(draw)
    return app, seen, draw


def test_the_command_gets_its_group_again():
    app, seen, _ = made()
    result = CliRunner().invoke(app, ["--name", "Ann", "--width", "3", "--tall", "4", "--colour", "blue"])
    assert result.exit_code == 0, result.output
    assert seen == [("draw", "blue", Size(3, 4), "Ann")]


def test_defaults_are_the_fields_and_required_options_come_first():
    app, seen, draw = made()
    assert list(inspect.signature(draw).parameters) == ["context", "width", "name", "colour", "height"]
    assert CliRunner().invoke(app, ["--name", "Ann", "--width", "3"]).exit_code == 0
    assert seen == [("draw", "red", Size(3, 7), "Ann")]
    assert CliRunner().invoke(app, ["--name", "Ann"]).exit_code == 2
    assert draw.__doc__ == "Draw."


def test_a_command_may_take_a_group_with_defaults_and_help_of_its_own():
    app, seen, draw = made(Tall)
    assert list(inspect.signature(draw).parameters) == ["context", "width", "name", "colour", "height"]
    assert CliRunner().invoke(app, ["--name", "Ann", "--width", "3"]).exit_code == 0
    assert seen[0][2] == Tall(3, 70)
    assert "How very tall." in CliRunner().invoke(app, ["--help"]).output


def test_two_options_of_one_name_are_refused():
    def draw(*, size: Size, height: Annotated[int, typer.Option()] = 1) -> None:
        """Draw."""

    with pytest.raises(ValueError, match="height"):
        grouped(draw)
