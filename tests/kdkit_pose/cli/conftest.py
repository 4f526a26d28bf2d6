"""The commands run in this process, as a user would, on a small synthetic data set."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kdkit_pose.cli import main
from kdkit_pose_cli.app import app


def invoke(*arguments: object) -> str:
    """Run a command that must succeed, and return what it printed."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@dataclass(frozen=True)
class Chain:
    """What synthesize, train, train and distill made."""

    folder: Path
    printed: dict[str, str]

    @property
    def images(self) -> Path:
        return self.folder / "people" / "images"

    @property
    def val(self) -> Path:
        return self.folder / "people" / "annotations" / "person_keypoints_val.json"

    @property
    def data(self) -> list[object]:
        train = self.val.with_name("person_keypoints_train.json")
        return ["--train-annotations", train, "--images", self.images, "--batch-size", 4]

    def student(self, run: str) -> Path:
        return self.folder / run / "student.safetensors"

    def content(self) -> dict:
        return json.loads(self.val.read_text())


@pytest.fixture(scope="session")
def run() -> Callable[..., str]:
    return invoke


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    folder = tmp_path_factory.mktemp("chain")
    made = Chain(folder, {})
    evaluated = ["--val-annotations", made.val, "--epochs", 2, "--evaluate-every", 1]
    net = "hrnet_w8_small"
    made.printed["synthesize"] = invoke("synthesize", "--out", folder / "people", "--train", 5, "--val", 3)
    made.printed["primary"] = invoke(
        *("train", "--model", net, *made.data, *evaluated, "--input-size", "64x64", "--out", folder / "primary")
    )
    made.printed["senior"] = invoke(
        *("train", "--model", net, *made.data, *evaluated, "--input-size", "64x64", "--out", folder / "senior"),
        *("--mask-fusion", "concat", "--checkpoint", made.student("primary")),
    )
    made.printed["odkd"] = invoke(
        *("distill", "--recipe", "odkd", "--student", net, *made.data, *evaluated, "--out", folder / "odkd"),
        *("--primary", made.student("primary"), "--senior", made.student("senior")),
    )
    return made


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs the program, which must end with exit code 2 and one line on standard error; returns it."""

    def check(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["kdkit-pose", *(str(argument) for argument in arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            main()
        lines = capfd.readouterr().err.splitlines()
        assert caught.value.code == 2
        assert len(lines) == 1, lines
        assert lines[0].startswith("error: ")
        return lines[0]

    return check
