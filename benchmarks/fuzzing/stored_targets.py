"""Checkpoints, caches, packed persons, run folders and studies."""

import hashlib
import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from benchmarks.fuzzing.annotation_targets import CODEC, people
from benchmarks.fuzzing.mutations import (
    planted,
    repacked,
    spoil_bytes,
    spoil_json,
    spoil_state,
    spoil_tree,
    to_json,
)
from benchmarks.fuzzing.targets import STORED, Files, Target, contents, one_of
from kdkit import Curriculum, Epochs, ModuleTeacher, Plateau, Stage, Supervise, TargetCache, build_cache, losses
from kdkit.ablation import Ablation, Trial, Variant
from kdkit.cache import Window
from kdkit.cache.codec import codec_from
from kdkit.training.checkpoint import load_checkpoint, save_checkpoint
from kdkit.training.run_folder import RunFolder
from kdkit_pose import models
from kdkit_pose.data import CocoKeypoints
from kdkit_pose.data.packing import PackedKeypoints, pack
from kdkit_pose.skeleton import COCO, Skeleton

_CONFIG = models.HRNetConfig("mine", width=4, modules=(1, 1, 1), blocks=1, first_stage_blocks=1)
_MARK = b"kdkit sha256\n"


def stored_targets(folder: Path) -> list[Target]:
    """The targets of the group `STORED`; valid files are made in an empty folder."""
    torch.manual_seed(0)
    network = models.PoseHRNet("mine", _CONFIG, 17)
    return [
        _run_checkpoint(folder / "last.pt"),
        _weights(network),
        _known_by_name(),
        _safetensors(network),
        _cache(folder / "cache"),
        _packed(folder),
        _run_folder(folder / "run"),
        _study(folder / "study"),
    ]


def _curriculum() -> Curriculum:
    supervise = [Supervise("heatmap", losses.mse)]
    return Curriculum(Stage("first", supervise, Plateau("AP", 2)), Stage("second", supervise, Epochs(3)))


def _run_checkpoint(path: Path) -> Target:
    curriculum = _curriculum()
    curriculum.advance()
    curriculum.end_epoch({"AP": 0.5})
    state = {
        "distiller": {"curriculum": curriculum.state_dict(), "student": {"w": torch.randn(4, 3)}},
        "optimizer": {"state": {0: {"exp_avg": torch.randn(4, 3)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
        "network": {"w": torch.randn(4, 3)},
        "metadata": {"model": "mine", "num_keypoints": "17"},
        "random": {"torch": torch.get_rng_state()},
        "batches": 3,
    }
    save_checkpoint(state, path)

    def spoil(random: Random, files: Files) -> Files:
        content, kind = files["last.pt"], random.random()
        body = content[: -len(_MARK) - 32]
        if kind < 0.25:
            return {"last.pt": spoil_bytes(random, content)}
        if kind < 0.45:
            body = repacked(random, body, spoil_bytes)
        elif kind < 0.6:
            body = repacked(random, body, lambda random, part: planted(random))
        else:
            buffer = io.BytesIO()
            torch.save(spoil_state(random, {"format": 3, **state}), buffer)
            body = buffer.getvalue()
        return {"last.pt": body + _MARK + hashlib.sha256(body).digest()}

    def read(folder: Path) -> None:
        found = load_checkpoint(folder / "last.pt")
        models.recognise(folder / "last.pt")
        distiller = found.get("distiller")
        if isinstance(distiller, dict) and isinstance(distiller.get("curriculum"), dict):
            _curriculum().load_state_dict(distiller["curriculum"])

    return Target("run checkpoint", STORED, {"last.pt": path.read_bytes()}, spoil, read)


def _saved(content: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def _spoil_weights(content: Any, name: str) -> Callable[[Random, Files], Files]:
    older = _saved(content, _use_new_zipfile_serialization=False)

    def spoil(random: Random, files: Files) -> Files:
        kind = random.random()
        if kind < 0.2:
            return {name: spoil_bytes(random, files[name])}
        if kind < 0.4:
            return {name: spoil_bytes(random, older)}
        if kind < 0.6:
            return {name: repacked(random, files[name], spoil_bytes)}
        if kind < 0.7:
            return {name: repacked(random, files[name], lambda random, part: planted(random))}
        if kind < 0.8:
            return {name: planted(random)}
        return {name: _saved(spoil_state(random, content))}

    return spoil


def _weights(network: nn.Module) -> Target:
    """A file that is loaded into a network built before."""
    state = dict(network.state_dict())
    files = {"weights.pth": _saved(state)}
    return Target("weights, into a network", STORED, files, _spoil_weights(state, "weights.pth"), _load_weights)


_INTO = models.PoseHRNet("mine", _CONFIG, 17)


def _load_weights(folder: Path) -> None:
    models.load_checkpoint(_INTO, folder / "weights.pth")


def _known_by_name() -> Target:
    """A training file, that is recognised by what little it holds."""
    text = "codec = dict(type='MSRAHeatmap', input_size=(192, 256), sigma=2)\n"
    content = {
        "state_dict": {
            "backbone.conv1.weight": torch.zeros(8, 3, 3, 3),
            "backbone.stage2.0.branches.0.0.conv1.weight": torch.zeros(8, 8, 3, 3),
            "backbone.layer1.0.conv2.weight": torch.zeros(8, 8, 3, 3),
            "head.final_layer.weight": torch.zeros(17, 8, 1, 1),
            "head.deconv_layers.0.weight": torch.zeros(8, 8, 4, 4),
        },
        "meta": {"cfg": text, "dataset_meta": {"keypoint_id2name": {i: f"k{i}" for i in range(17)}}},
        "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]},
    }
    files = {"epoch.pth": _saved(content)}

    def read(folder: Path) -> None:
        models.recognise(folder / "epoch.pth")

    return Target("training file, recognised", STORED, files, _spoil_weights(content, "epoch.pth"), read)


def _safetensors(network: nn.Module) -> Target:
    # Named nothing, so that it is loaded into a network of no name; see `weights`.
    metadata = {"mask_fusion": "none", **CODEC.to_metadata(), **COCO.to_metadata()}
    content = safetensors.torch.save(dict(network.state_dict()), metadata)

    def spoil(random: Random, files: Files) -> Files:
        kind = random.random()
        if kind < 0.4:
            return {"student.safetensors": spoil_bytes(random, content)}
        if kind < 0.5:
            return {"student.safetensors": planted(random)}
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        if kind < 0.75:
            said = spoil_tree(random, header["__metadata__"])
            if isinstance(said, dict):
                said = {
                    str(key): value if isinstance(value, str) else json.dumps(value) for key, value in said.items()
                }
            header["__metadata__"] = said
        else:
            header = spoil_tree(random, header)
        text = to_json(header)
        return {"student.safetensors": len(text).to_bytes(8, "little") + text + content[8 + length :]}

    def read(folder: Path) -> None:
        found = models.read_metadata(folder / "student.safetensors")
        if "skeleton" in found:
            Skeleton.from_metadata(found)
        models.load_checkpoint(_INTO, folder / "student.safetensors")

    return Target("safetensors", STORED, {"student.safetensors": content}, spoil, read)


class _Noise(Dataset[dict[str, Tensor]]):
    annotation_ids = tuple(range(100, 108))

    def fingerprint(self) -> str:
        return "noise"

    def __len__(self) -> int:
        return len(self.annotation_ids)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        index, view = key
        return {
            "image": torch.full((3, 8, 6), float(index + view)),
            "id": torch.tensor(self.annotation_ids[index]),
            "view": torch.tensor(view),
        }


def _cache(folder: Path) -> Target:
    network = nn.Conv2d(3, 5, 3, padding=1)
    build_cache(
        folder,
        ModuleTeacher("large", network, inputs="image", outputs="heatmap"),
        _Noise(),
        codecs={"heatmap": Window(3)},
        views=2,
        shard_records=7,
    )
    files = contents(folder)
    names = tuple(name for name in files if name.endswith((".bin", ".npy", ".json")))

    def spoil(random: Random, files: Files) -> Files:
        kind = random.random()
        if kind < 0.35:
            return one_of(names, spoil_bytes)(random, files)
        if kind < 0.5:
            return {"ids.npy": _spoilt_array(random, np.arange(100, 108))}
        if kind < 0.6:
            return {"header.json": spoil_json(random, files["header.json"])}
        header = spoil_tree(random, json.loads(files["header.json"]))
        return {"header.json": to_json(_signed(header))}

    def read(folder: Path) -> None:
        cache = TargetCache.open(folder, verify="all")
        views = torch.arange(len(cache.ids)) % cache.views
        cache.read(cache.ids[:4], views[:4])
        cache.info()

    return Target("cache", STORED, {name: files[name] for name in names}, spoil, read)


def _signed(header: Any) -> Any:
    """A cache's header with the checksum and the size that its other items ask for, where these make sense."""
    try:
        outputs = header["outputs"]
        sizes = [codec_from(one["codec"]).record_bytes(tuple(one["shape"])) for one in outputs]
        header["record_bytes"] = sum(sizes) + 4
        signed = {key: value for key, value in header.items() if key != "checksum"}
        header["checksum"] = zlib.crc32(json.dumps(signed, sort_keys=True).encode())
    except Exception:
        pass
    return header


def _spoilt_array(random: Random, array: np.ndarray[Any, Any]) -> bytes:
    """An array's file: of another type, of objects with a planted pickle, or with a header that claims more."""
    buffer = io.BytesIO()
    kind = random.randrange(4)
    if kind == 0:
        np.save(buffer, np.array([None], dtype=object), allow_pickle=True)
        return buffer.getvalue() + planted(random)
    if kind == 1:
        shape = random.choice([(2**40,), (2**62, 2), (-1,), (8, 1), (), (0,)])
        np.lib.format.write_array_header_1_0(buffer, {"descr": "<i8", "fortran_order": False, "shape": shape})
        return buffer.getvalue() + array.tobytes()
    if kind == 2:
        text = random.choice(
            ["(" * 300, "{" * 5000, "[" * 9000, "{'descr': 1}", "{'descr': '<i8', 'shape': (1e9,)}"]
        )
        body = text.encode()
        return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body + array.tobytes()
    np.save(buffer, array.astype(random.choice(["<f8", ">i8", "<i4", "<u8", "S8"])))
    return buffer.getvalue()


def _packed(folder: Path) -> Target:
    annotations = people(folder / "people")
    data = CocoKeypoints(annotations, folder / "people" / "images", codec=CODEC)
    pack(data, folder / "packed", shard_bytes=50_000)
    files = contents(folder / "packed")

    def spoil(random: Random, files: Files) -> Files:
        kind = random.random()
        if kind < 0.3:
            return one_of(tuple(files), spoil_bytes)(random, files)
        if kind < 0.65:
            return {"header.json": spoil_json(random, files["header.json"])}
        # The array of persons, with a header that says it is the right one.
        if kind < 0.75:
            array = _spoilt_array(random, np.arange(3))
        else:
            records = np.load(io.BytesIO(files["persons.npy"]))
            buffer = io.BytesIO()
            for _ in range(random.randint(1, 3)):
                name, row = random.choice(records.dtype.names), random.randrange(len(records))
                value = random.choice([0, -1, 2**31, 2**62, -(2**63), 1e300, float("nan"), float("inf"), 3, 4])
                if np.issubdtype(records[name].dtype, np.integer) and not isinstance(value, int):
                    value = 5
                records[name][row] = value
            np.save(buffer, records)
            array = buffer.getvalue()
        header = json.loads(files["header.json"])
        header["persons_sha256"] = hashlib.sha256(array).hexdigest()
        return {"persons.npy": array, "header.json": to_json(header)}

    def read(folder: Path) -> None:
        persons = PackedKeypoints(folder, codec=CODEC)
        for row in range(min(len(persons), 3)):
            persons[row]
        persons.prepare({name: value[None] for name, value in persons[0].items()})

    return Target("packed persons", STORED, files, spoil, read)


def _run_folder(folder: Path) -> Target:
    run = RunFolder(folder)
    run.open({"epochs": 3, "student": {"model": "mine"}}, may_continue=True)
    for step in (1, 2, 3):
        run.append_metrics({"step": step, "stage": "first", "loss": 0.5, "seconds": 1.0})
    files = contents(folder)

    def read(folder: Path) -> None:
        run = RunFolder(folder)
        run.check({"epochs": 3, "student": {"model": "mine"}})
        run.read_metrics()
        run.keep_metrics_until(2)

    def spoil(random: Random, files: Files) -> Files:
        if random.random() < 0.5:
            return {"config.json": spoil_json(random, files["config.json"])}
        if random.random() < 0.5:
            return {"metrics.jsonl": spoil_bytes(random, files["metrics.jsonl"])}
        lines = files["metrics.jsonl"].splitlines()
        place = random.randrange(len(lines))
        lines[place] = spoil_json(random, lines[place])
        return {"metrics.jsonl": b"\n".join(lines) + b"\n"}

    return Target(
        "run folder", STORED, {name: files[name] for name in ("config.json", "metrics.jsonl")}, spoil, read
    )


def _study(folder: Path) -> Target:
    def train(seed: int, out: Path) -> Trial:
        return Trial({"AP": 0.5 + seed / 100}, steps=10, samples=20, curve=((10, {"AP": 0.5}),))

    def study(out: Path) -> Ablation:
        return Ablation([Variant("plain", train), Variant("taught", train)], (0, 1), out, metric="AP")

    study(folder).run()
    files = {name: content for name, content in contents(folder).items() if name.endswith(".json")}

    def read(folder: Path) -> None:
        study(folder).run()

    return Target("study", STORED, files, one_of(tuple(files), spoil_json), read)
