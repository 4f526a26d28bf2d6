"""Wherever a file might hold a pickle, one that is planted there does not run."""

import hashlib
import io
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from kdkit import TargetCache
from kdkit.errors import KdkitError
from kdkit.training.checkpoint import load_checkpoint, save_checkpoint
from kdkit.training.run_folder import RunFolder
from kdkit_pose import models
from kdkit_pose.codecs import MSRA
from kdkit_pose.data import CocoKeypoints, PackedKeypoints, pack
from kdkit_pose.masks.saving import load as load_masks
from tests.kdkit.cache.builds import build


class Planted:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("canary",)


def zipped() -> bytes:
    buffer = io.BytesIO()
    planted = {"w": Planted()}
    torch.save({"format": 3, "network": planted, "state_dict": planted}, buffer)
    return buffer.getvalue()


def array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([Planted()], dtype=object), allow_pickle=True)
    return buffer.getvalue()


FORMS: dict[str, Callable[[], bytes]] = {
    "torch": zipped,
    "pickle": lambda: pickle.dumps([Planted()]),
    "numpy": array,
}


def read_checkpoint(path: Path) -> None:
    load_checkpoint(path)


def read_trailer(path: Path) -> None:
    """With a checksum that fits."""
    content = path.read_bytes()
    path.write_bytes(content + b"kdkit sha256\n" + hashlib.sha256(content).digest())
    load_checkpoint(path)


def read_cache(path: Path) -> None:
    build(path.parent / "cache")
    (path.parent / "cache" / "ids.npy").write_bytes(path.read_bytes())
    TargetCache.open(path.parent / "cache")


def read_shard(path: Path) -> None:
    build(path.parent / "cache")
    (path.parent / "cache" / "shard-00000.bin").write_bytes(path.read_bytes())
    TargetCache.open(path.parent / "cache")


def read_run(path: Path) -> None:
    (path.parent / "config.json").write_bytes(path.read_bytes())
    RunFolder(path.parent).check({"epochs": 1}, partial=True)


def read_annotations(path: Path) -> None:
    CocoKeypoints(path, path.parent, codec=MSRA())


READERS: dict[str, Callable[[Path], object]] = {
    "run checkpoint": read_checkpoint,
    "run checkpoint with its checksum": read_trailer,
    "network": models.load,
    "recognised": models.recognise,
    "pretrained": lambda path: models.load_pretrained(models.create("hrnet_w8_small"), path),
    "mask predictor": load_masks,
    "ids of a cache": read_cache,
    "shard of a cache": read_shard,
    "config": read_run,
    "annotations": read_annotations,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_it_is_refused_and_does_not_run(
    reader: str, form: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"planted{suffix}"
    path.write_bytes(FORMS[form]())
    with pytest.raises(KdkitError):
        READERS[reader](path)
    assert not Path("canary").exists()


@pytest.mark.parametrize("form", FORMS)
def test_the_traps_would_run(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "planted"
    path.write_bytes(FORMS[form]())
    if form == "torch":
        torch.load(path, weights_only=False)
    elif form == "numpy":
        np.load(path, allow_pickle=True)
    else:
        pickle.loads(path.read_bytes())
    assert Path("canary").is_dir()


def test_packed_persons_are_no_pickle_even_where_their_checksum_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_people: Callable[..., CocoKeypoints]
) -> None:
    monkeypatch.chdir(tmp_path)
    packed_folder = pack(tiny_people(pictures=1), tmp_path / "packed")
    header = json.loads((packed_folder / "header.json").read_text())
    header["persons_sha256"] = hashlib.sha256(array()).hexdigest()
    (packed_folder / "header.json").write_text(json.dumps(header))
    (packed_folder / "persons.npy").write_bytes(array())
    with pytest.raises(KdkitError, match=r"persons\.npy"):
        PackedKeypoints(packed_folder, codec=MSRA((32, 32)))
    assert not Path("canary").exists()


def test_safetensors_and_checkpoints_of_kdkit_are_read(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(3)}, tmp_path / "a.safetensors")
    assert models.read_metadata(tmp_path / "a.safetensors") == {}
    save_checkpoint({"w": torch.zeros(3)}, tmp_path / "a.pt")
    assert load_checkpoint(tmp_path / "a.pt")["w"].shape == (3,)
