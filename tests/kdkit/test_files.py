import pytest
import torch
from safetensors.torch import load

from kdkit.files import write_atomically
from kdkit.training.export import to_safetensors
from kdkit.training.run_folder import RunFolder


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "a.bin"
    write_atomically(path, lambda file: file.write(b"old"))

    def fail(file):
        file.write(b"new")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_metrics_survive_a_torn_line_and_lose_what_comes_after_a_step(tmp_path):
    folder = RunFolder(tmp_path)
    for step in (1, 2, 3):
        folder.append_metrics({"step": step, "loss": float("nan") if step == 1 else 0.5})
    with folder.metrics.open("a") as file:
        file.write('{"step": 4, "lo')
    folder.keep_metrics_until(2)
    assert folder.read_metrics() == [{"step": 1, "loss": None}, {"step": 2, "loss": 0.5}]


def test_equal_tensors_and_metadata_give_equal_bytes():
    tied = torch.randn(3, 2)
    state = {"b": tied, "a": tied, "n": torch.tensor(3), "h": torch.randn(5).half()}
    metadata = {name: name.upper() for name in "zyxwvu"} | {"text": "ä"}
    files = {to_safetensors(state, dict(reversed(metadata.items()))) for _ in range(20)}
    assert len(files) == 1
    loaded = load(files.pop())
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())
