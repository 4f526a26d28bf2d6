"""Two students of the COCO experiment are only compared where they learned under the same conditions."""

import json
import re
from pathlib import Path

import pytest

from kdkit import ConfigurationError


@pytest.fixture(autouse=True)
def examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples"))


def run_folder(path: Path, steps: int, **config: object) -> None:
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps({"config": {"seed": 0, "data": path.name, **config}}))
    (path / "metrics.jsonl").write_text(json.dumps({"step": steps, "stage": "a", "seconds": 1.0}) + "\n")


def test_what_both_have_in_common_is_told(tmp_path: Path) -> None:
    from coco.comparing import _common

    for name in ("plain", "distill"):
        run_folder(tmp_path / name, 16, batch_size=8)
    assert _common(tmp_path) == {"seed": 0, "batch_size": 8, "steps": 16}


def test_another_length_or_seed_is_refused(tmp_path: Path) -> None:
    from coco.comparing import _common

    run_folder(tmp_path / "plain", 8)
    run_folder(tmp_path / "distill", 16, seed=7)
    told = "cannot be compared (seed: plain 0, distill 7; steps: plain 8, distill 16)"
    with pytest.raises(ConfigurationError, match=re.escape(told)):
        _common(tmp_path)
