import io
import os
import pickle
import re
import time
import zipfile
from pathlib import Path

import pytest
import torch

import kdkit
from kdkit.torch_files import load_torch_file


class Planted:
    def __reduce__(self):
        return os.mkdir, ("canary",)


def parts_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "saved.pt"
    torch.save({"w": torch.arange(12.0).reshape(3, 4), "step": 3}, path)
    return path


@pytest.mark.parametrize("zipped", [True, False])
def test_a_saved_file_is_read(saved, zipped):
    torch.save(
        {"w": torch.ones(2), "repeated": torch.ones(()).expand(100, 100)},
        saved,
        _use_new_zipfile_serialization=zipped,
    )
    found = load_torch_file(saved)
    assert torch.equal(found["w"], torch.ones(2))
    assert found["repeated"].shape == (100, 100)


def test_a_compressed_part_is_refused_before_it_unfolds(saved):
    with zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("saved/data.pkl", bytes(50_000_000))
    assert saved.stat().st_size < 100_000
    with pytest.raises(ValueError, match=r"is compressed, which torch.save never does"):
        load_torch_file(saved)


def test_parts_that_lie_upon_each_other_are_refused(saved):
    """A zip file's directory may name the same bytes many times."""
    parts, buffer = parts_of(saved), io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("saved/data.pkl", parts["saved/data.pkl"])
        archive.writestr("saved/data/0", bytes(10_000))
        archive.filelist += [archive.filelist[1]] * 9
    saved.write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match="its parts claim"):
        load_torch_file(saved)


@pytest.mark.parametrize("how", ["in an archive", "alone", "older"])
def test_planted_code_is_not_run(saved, how):
    if how == "alone":
        saved.write_bytes(pickle.dumps({"w": Planted()}))
    else:
        torch.save({"w": Planted()}, saved, _use_new_zipfile_serialization=how == "in an archive")
    with pytest.raises(Exception, match=r"mkdir|Weights only|weights_only"):
        load_torch_file(saved)
    assert not Path("canary").exists()
    if how == "alone":
        pickle.loads(saved.read_bytes())
    else:
        torch.load(saved, weights_only=False)
    assert Path("canary").is_dir()  # the trap works


@pytest.mark.parametrize("zipped", [True, False])
def test_a_tensor_that_claims_more_than_its_storage_is_refused(saved, zipped):
    torch.save({"w": torch.zeros(3, 4)}, saved, _use_new_zipfile_serialization=zipped)
    small, large = b"K\x03K\x04\x86", b"J\x00\x00\x00\x01K\x04\x86"
    if zipped:
        parts = parts_of(saved)
        with zipfile.ZipFile(saved, "w") as archive:
            for name, part in parts.items():
                archive.writestr(name, part.replace(small, large, 1))
    else:
        saved.write_bytes(saved.read_bytes().replace(small, large, 1))
    with pytest.raises(RuntimeError):
        load_torch_file(saved)


def test_nothing_else_in_the_packages_reads_pickles():
    root = Path(kdkit.__file__).parents[1]  # also where they are installed
    sources = [
        path for package in ("kdkit", "kdkit_pose", "kdkit_pose_cli") for path in (root / package).rglob("*.py")
    ]
    assert len(sources) > 200
    calls = re.compile(
        r"torch\.load\(|pickle\.loads?\(|Unpickler|allow_pickle=True|weights_only=False|\bjoblib\b|\bmarshal\b"
    )
    found = {
        path.relative_to(root).as_posix() for path in sources if calls.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"kdkit/torch_files.py"}
    assert "weights_only=True" in (root / "kdkit" / "torch_files.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_name_without_end_is_refused_at_once(saved, zipped):
    """PyTorch would look for words in it for minutes."""
    torch.save({"w": Planted()}, saved, _use_new_zipfile_serialization=zipped)
    short, long = b"cposix\nmkdir\n", b"cposix\n" + b"\0" * 1_000_000 + b"\n"
    if zipped:
        parts = parts_of(saved)
        with zipfile.ZipFile(saved, "w") as archive:
            for name, part in parts.items():
                archive.writestr(name, part.replace(short, long))
    else:
        saved.write_bytes(saved.read_bytes().replace(short, long))
    started = time.process_time()
    with pytest.raises(ValueError, match=r"names a class by 1,000,00. characters"):
        load_torch_file(saved)
    assert time.process_time() - started < 5
