import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from kdkit.errors import CheckpointError
from kdkit_pose import export, models
from kdkit_pose.codecs import DARK

Refused = Callable[..., str]


class Payload:
    """Pickles as a call that leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, (f"open({str(self.trace)!r}, 'w').close()",)


@pytest.mark.parametrize("legacy", [False, True])
def test_pickled_code_is_refused_and_never_run(
    assert_refused: Refused, tmp_path: Path, trained: nn.Module, legacy: bool
) -> None:
    trace = tmp_path / "trace"
    content = {"state_dict": trained.state_dict(), "meta": Payload(trace)}
    path = tmp_path / "payload.pth"
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    message = assert_refused(models.create("hrnet_w8_small"), path, "pickles exec", "weights only")
    assert "weights_only" not in message
    assert not trace.exists()
    pickle.loads(pickle.dumps(content["meta"]))  # the payload does work where it is let
    assert trace.exists()


def test_a_pickled_network_is_refused(assert_refused: Refused, tmp_path: Path, trained: nn.Module) -> None:
    torch.save(trained, tmp_path / "module.pth")
    assert_refused(models.create("hrnet_w8_small"), tmp_path / "module.pth", "PoseHRNet", "state_dict()")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("mmengine.logging.history_buffer", "HistoryBuffer"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy.core.multiarray", "_reconstruct"),
    ],
)
def test_what_trainers_pickle_beside_the_weights_is_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trained: nn.Module, module: str, name: str
) -> None:
    stand_in = types.ModuleType(module)
    pickled = type(name, (), {"__module__": module})
    setattr(stand_in, name, pickled)
    with monkeypatch.context() as patch:
        for parent in ("mmengine", "mmengine.logging", "numpy.core"):
            patch.setitem(sys.modules, parent, types.ModuleType(parent))
        patch.setitem(sys.modules, module, stand_in)
        history = pickled()
        history._log_history = np.arange(3.0)
        history._count_history = np.ones(3, dtype=np.int64)
        hub = {"log_scalars": OrderedDict({"train/loss": history})}
        torch.save({"message_hub": hub, "state_dict": trained.state_dict()}, tmp_path / "epoch_210.pth")
    allowed = set(torch.serialization.get_safe_globals())
    model = models.create("hrnet_w8_small", checkpoint=tmp_path / "epoch_210.pth")
    assert torch.equal(model.conv1.weight, trained.conv1.weight)
    assert set(torch.serialization.get_safe_globals()) == allowed


def test_a_numpy_score_beside_the_weights_is_ignored(tmp_path: Path, trained: nn.Module) -> None:
    content = {"epoch": 209, "perf": np.float64(0.744), "best_state_dict": trained.state_dict()}
    torch.save(content, tmp_path / "checkpoint.pth")
    model = models.create("hrnet_w8_small")
    assert models.load_checkpoint(model, tmp_path / "checkpoint.pth").format.startswith("official training file")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.99])
def test_a_truncated_file_is_refused(
    assert_refused: Refused, tmp_path: Path, trained: nn.Module, suffix: str, kept: float
) -> None:
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(trained.state_dict(), path)
    else:
        models.save(trained, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    assert_refused(models.create("hrnet_w8_small"), path, "empty" if not kept else "cut short", "again")


@pytest.mark.parametrize("name", ["page.pth", "page.safetensors"])
@pytest.mark.parametrize("data", [b"<!DOCTYPE html>", b"version https://git-lfs.github.com", b"\x80", b"\0" * 64])
def test_a_file_of_something_else_is_refused(
    assert_refused: Refused, tmp_path: Path, name: str, data: bytes
) -> None:
    (tmp_path / name).write_bytes(data)
    message = assert_refused(models.create("hrnet_w8_small"), tmp_path / name, "no checkpoint", "again")
    assert "weights_only" not in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["student.onnx", "student.safetensors", "student.pth"])
def test_an_onnx_model_is_told_by_its_content(assert_refused: Refused, tmp_path: Path, name: str) -> None:
    layer, codec = models.create("hrnet_w8_small"), DARK((64, 64))
    export.to_onnx(layer, tmp_path / "made.onnx", codec)
    (tmp_path / name).write_bytes((tmp_path / "made.onnx").read_bytes())
    message = assert_refused(layer, tmp_path / name, "is an ONNX model", "student.safetensors")
    assert "again" not in message
    with pytest.raises(CheckpointError, match="is an ONNX model"):
        models.read_metadata(tmp_path / name)
    # Of another producer: field 7, the graph, right behind the version.
    (tmp_path / name).write_bytes(b"\x08\x08\x3a\x02\x0a\x00\x42\x02\x10\x11")
    assert_refused(layer, tmp_path / name, "is an ONNX model")


def test_a_missing_file_and_a_folder_are_refused(assert_refused: Refused, tmp_path: Path) -> None:
    model = models.create("hrnet_w8_small")
    assert_refused(model, tmp_path / "none.pth", "there is no file")
    assert_refused(model, tmp_path, "is a folder")
    for read in (models.read_metadata, models.load):
        with pytest.raises(CheckpointError, match="there is no file"):
            read(tmp_path / "none.safetensors")
