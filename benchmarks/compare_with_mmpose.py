"""kdkit's codecs, flip test, OKS-NMS and rescoring beside mmpose 1.3.2's, on the same maps and persons.

Make an environment with kdkit and the reference, whose compiled parts are not needed:

    pip install kdkit
    pip install --no-deps mmpose==1.3.2 mmengine
    pip install addict json_tricks munkres pyyaml scipy termcolor yapf

    python benchmarks/compare_with_mmpose.py [--maps maps.npz] [--json FILE]

``--maps`` adds a network's maps of sigma 2: `heatmap` [N, K, h, w], as decoder_study.py --maps writes them.
Distances are in pixels of the heatmap. "agree" are the peaks that no quirk below touches; the other figures count
those that one does. "near the border, uncorrected" are further ones, compared with the border's correction
switched off, which shows that nothing else differs there; "corrected" is how far that correction moves them.

Known quirks of the reference, none of them taken over; each is counted:

* border: it smooths over zeros beyond the map, which pulls peaks inwards; DARK does not refine peaks in the two
  outermost cells at all. Here what the border cuts off is added again.
* no top: where the logarithm does not curve downwards, its Newton step goes to a saddle or a valley; here there
  is no step.
* far: it takes a step of any length; here one of at most two cells along an axis.
* floor (UDP): values below 0.001 are raised to it before the logarithm, so a peak that low is not refined; here
  the floor is 1e-10 of the peak for both codecs.
* empty maps are decoded to (-1, -1) before the scaling; here to (0, 0), as in HRNet's own code.
* UDP decodes by the input's size where it encodes by size - 1 (undone here before comparing), cuts targets off
  at 3 sigma around a *rounded* centre, and rotates crops the other way round than its plain affine map.
* a target that ends up to a cell right of or below the map still weighs 1 (its test adds a pixel).
* equal scores in OKS-NMS are taken from the last on; here from the first. OKS is rounded to float32 there.
"""

import argparse
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a file, it sees only its own folder

from benchmarks.reference.absent_modules import do_without
from kdkit_pose import COCO, DARK, MSRA, UDP, Codec
from kdkit_pose.codecs.peak import find_peaks, interior, neighbourhood
from kdkit_pose.codecs.smoothing import smooth
from kdkit_pose.codecs.unbiased import Unbiased
from kdkit_pose.evaluation import oks_nms, rescore

Array = npt.NDArray[Any]
CODECS: tuple[Codec, ...] = (MSRA(), DARK(), UDP(), DARK(input_size=(288, 384), sigma=3.0))


def load_reference() -> SimpleNamespace:
    """What is compared of mmpose, or an exit that says how to get it."""
    if importlib.util.find_spec("mmpose") is None:
        sys.exit(f"mmpose is not installed.\n{(__doc__ or '').split('``--maps``')[0]}")
    do_without("mmcv", "xtcocotools")
    from mmpose.codecs.msra_heatmap import MSRAHeatmap
    from mmpose.codecs.udp_heatmap import UDPHeatmap
    from mmpose.evaluation.metrics.coco_metric import CocoMetric
    from mmpose.structures.bbox.transforms import get_udp_warp_matrix, get_warp_matrix

    return SimpleNamespace(
        MSRAHeatmap=MSRAHeatmap,
        UDPHeatmap=UDPHeatmap,
        CocoMetric=CocoMetric,
        get_udp_warp_matrix=get_udp_warp_matrix,
        get_warp_matrix=get_warp_matrix,
        flip_heatmaps=_file_of("models/utils/tta.py").flip_heatmaps,
    )


def _file_of(path: str) -> ModuleType:
    """A file of mmpose without the packages around it, which need every backbone's dependencies."""
    spec = importlib.util.find_spec("mmpose")
    folder = Path((spec.submodule_search_locations or [""])[0]) if spec else Path()
    found = importlib.util.spec_from_file_location(Path(path).stem, folder / path)
    if found is None or found.loader is None:
        sys.exit(f"mmpose has no {path}: install mmpose==1.3.2")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def counterpart(mmpose: SimpleNamespace, codec: Codec) -> Any:
    """The reference's codec of the same settings."""
    arguments = {"input_size": codec.input_size, "heatmap_size": codec.heatmap_size, "sigma": codec.sigma}
    if isinstance(codec, Unbiased):
        arguments["blur_kernel_size"] = codec.blur_kernel
    if isinstance(codec, UDP):
        return mmpose.UDPHeatmap(**arguments)
    return mmpose.MSRAHeatmap(**arguments, unbiased=isinstance(codec, DARK))


def maps_of(codec: Codec, recorded: Array | None) -> Iterator[tuple[str, Tensor]]:
    """Batches of maps [N, K, h, w] by name."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-8, np.array(codec.input_size) + 8, size=(200, 17, 2))
    clean = np.stack([codec.encode(person, np.ones(17))[0] for person in points])
    for deviation in (0.0, 0.01, 0.05):
        yield (
            f"targets, noise {deviation}",
            torch.from_numpy(clean + rng.normal(0, deviation, clean.shape)).float(),
        )
    if recorded is not None and recorded.shape[-2:] == codec.heatmap_size[::-1]:
        yield "a network's", torch.from_numpy(recorded).float()


def compare_decoding(reference: Any, codec: Codec, maps: Tensor) -> dict[str, float]:
    """Distances in pixels of the heatmap, and how many peaks each quirk touches."""
    found = codec.decode(maps)[0].numpy() / np.array(codec.cell_size)
    decoded = [reference.decode(person.numpy().copy()) for person in maps]
    unit = np.array(codec.heatmap_size) - 1.0
    scale = reference.input_size / unit if isinstance(codec, UDP) else np.array(codec.cell_size)
    expected = np.concatenate([points for points, _ in decoded]) / scale
    assert all(
        np.array_equal(codec.decode(person[None])[1][0].numpy(), scores[0].clip(min=0))
        for person, (_, scores) in zip(maps[:5], decoded[:5], strict=True)
    ), "scores differ"
    distance = np.abs(found - expected).max(axis=-1)
    cells, peak = find_peaks(maps)
    empty = peak.numpy() <= 0
    quirks = {"empty": empty, **_quirks(codec, maps, cells, np.abs(expected - cells.numpy()).max(axis=-1))}
    touched = np.zeros_like(empty)
    counts: dict[str, float] = {}
    for name, mask in quirks.items():
        counts[name] = int((mask & ~touched).sum())
        touched |= mask
    near = quirks["border"] & ~empty
    return {
        "peaks": distance.size,
        "agree": int((~touched).sum()),
        "median": float(np.median(distance[~touched])),
        "largest": float(distance[~touched].max()),
        **counts,
        "corrected": float(distance[near].max(initial=0.0)),
        **_uncorrected(codec, maps, cells.numpy(), expected, near & ~_others(quirks)),
    }


def _others(quirks: dict[str, Array]) -> Array:
    masks = [mask for name, mask in quirks.items() if name != "border"]
    return np.any(masks, axis=0)


def _uncorrected(codec: Codec, maps: Tensor, cells: Array, expected: Array, near: Array) -> dict[str, float]:
    """The peaks near the border, where the reference refines them from values of the map, without correction."""
    if not isinstance(codec, Unbiased):
        return {}
    with mock.patch("kdkit_pose.codecs.refine.border_loss", return_value=0.0):
        found = codec.decode(maps)[0].numpy() / np.array(codec.cell_size)
    size = np.array(codec.heatmap_size)
    # DARK's reference leaves a column and a row more unused on the left and above.
    least = codec.reach if isinstance(codec, UDP) else 2
    refined = near & ((cells >= least) & (cells < size - codec.reach)).all(axis=-1)
    distance = np.abs(found - expected).max(axis=-1)[refined]
    return {
        "near the border, uncorrected": int(refined.sum()),
        "their median": float(np.median(distance)) if distance.size else 0.0,
        "their largest": float(distance.max(initial=0.0)),
    }


def _quirks(codec: Codec, maps: Tensor, cells: Tensor, step: Array) -> dict[str, Array]:
    if not isinstance(codec, Unbiased):
        # The plain decoder refines each axis by itself near the border; the HRNet reference both or none.
        return {"border": ~interior(maps, cells, margin=1)[..., 0].numpy()}
    margin = codec.blur_kernel // 2 + codec.reach
    size = cells.new_tensor(codec.heatmap_size)
    inside = ((cells >= margin) & (cells < size - margin)).all(dim=-1).numpy()
    around = neighbourhood(smooth(maps, codec.blur_kernel, codec.reach), cells + codec.reach, codec.reach)
    at = codec._derivatives(around.clamp(min=1e-10).log())
    top = ((at.xx * at.yy - at.xy**2 > 1e-9) & (at.xx < 0)).numpy()
    lowest = around.amin(dim=(-2, -1)) * find_peaks(maps)[1]
    low = (lowest < 1e-3).numpy() if isinstance(codec, UDP) else np.zeros_like(top)
    return {"border": ~inside, "no top": ~top, "floor": low, "far": step > 2}


def compare_encoding(reference: Any, codec: Codec) -> dict[str, float]:
    """The largest difference of targets, within the reference's patch and beyond it, and of weights."""
    size = np.array(codec.input_size)
    points = np.random.default_rng(1).uniform(-40, size + 40, size=(3000, 2)).astype(np.float32)
    heatmap, weight = codec.encode(points, np.ones(len(points)))
    encoded = reference.encode(points[None], np.ones((1, len(points)), dtype=np.float32))
    other, weighs = encoded["heatmaps"], encoded["keypoint_weights"][0]
    both = (weight > 0) & (weighs > 0)
    difference = np.abs(heatmap - other)[both]
    patch = other[both] > 0
    return {
        "within its patch": float(difference[patch].max()),
        "beyond it": float(difference[~patch].max(initial=0.0)),
        "other weights": int((weight != weighs).sum()),
    }


def compare_affine(mmpose: SimpleNamespace, codec: Codec) -> float:
    """The largest difference, in pixels of the input, of where picture points go."""
    rng = np.random.default_rng(2)
    largest = 0.0
    for _ in range(200):
        center, height, rotation = rng.uniform(50, 400, 2), rng.uniform(40, 500), rng.uniform(-90, 90)
        scale = np.array([height * codec.input_size[0] / codec.input_size[1], height])
        if isinstance(codec, UDP):
            expected = mmpose.get_udp_warp_matrix(center, scale, -rotation, codec.input_size)
        else:
            expected = mmpose.get_warp_matrix(center, scale, rotation, codec.input_size)
        points = np.column_stack([center + rng.uniform(-0.5, 0.5, (20, 2)) * scale, np.ones(20)])
        difference = points @ (codec.affine(center, scale, rotation) - expected).T
        largest = max(largest, float(np.abs(difference).max()))
    return largest


def compare_flip(mmpose: SimpleNamespace, codec: Codec) -> bool:
    """Whether mirrored maps come back the same, to the last bit."""
    width, height = codec.heatmap_size
    maps = torch.rand(4, 17, height, width, generator=torch.Generator().manual_seed(0))
    expected = mmpose.flip_heatmaps(
        maps.clone(), list(COCO.flip_permutation), shift_heatmap=codec.unflip_shift == 1
    )
    return torch.equal(codec.unflip(maps, COCO), expected)


def compare_scoring(mmpose: SimpleNamespace, persons: int = 2000, pictures: int = 60) -> dict[str, float]:
    """Rescoring and OKS-NMS of made-up persons, many of them near copies, through the reference's CocoMetric."""
    rng = np.random.default_rng(3)
    poses = rng.uniform(0, 200, size=(4, 17, 2))
    ours, theirs = [], []
    for index in range(persons):
        points = poses[rng.integers(4)] + rng.normal(0, rng.uniform(0, 8), size=(17, 2))
        scores, box, scale = rng.uniform(size=17), float(rng.uniform()), rng.uniform(50, 200, size=2)
        shared = {"id": index, "category_id": 1}
        picture = int(rng.integers(pictures))
        placed = np.column_stack([points, scores]).ravel().tolist()
        ours.append(
            shared
            | {"image_id": picture, "keypoints": placed, "score": rescore(box, scores), "scale": scale.tolist()}
        )
        arrays = {"keypoints": points[None], "keypoint_scores": scores[None]}
        arrays |= {"bbox_scores": np.array([box]), "areas": np.array([scale.prod()])}
        theirs.append((shared | {"img_id": picture} | arrays, {}))
    kept: dict[int, float] = {}
    metric = mmpose.CocoMetric(format_only=True, outfile_prefix="unused")
    metric.dataset_meta = {"dataset_name": "coco", "num_keypoints": 17, "sigmas": np.array(COCO.sigmas)}
    metric.coco = object()
    metric.results2json = lambda found, **_: kept.update(
        {person["id"]: float(person["score"]) for group in found.values() for person in group}
    )
    metric.compute_metrics(theirs)
    mine = {person["id"]: person["score"] for person in oks_nms(ours, COCO.sigmas)}
    scores = [abs(mine[index] - kept[index]) for index in mine.keys() & kept.keys()]
    return {
        "persons": persons,
        "kept here": len(mine),
        "kept there": len(kept),
        "kept by one only": len(mine.keys() ^ kept.keys()),
        "scores' largest difference": max(scores),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--maps", type=Path, help="a network's maps")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    options = parser.parse_args()
    mmpose = load_reference()
    recorded = np.load(options.maps)["heatmap"] if options.maps else None
    figures: dict[str, Any] = {"scoring": compare_scoring(mmpose)}
    codecs = list(CODECS)
    if recorded is not None:
        height, width = recorded.shape[-2:]
        codecs += [kind(input_size=(4 * width, 4 * height)) for kind in (MSRA, DARK, UDP)]
    for codec in dict.fromkeys(codecs):
        reference = counterpart(mmpose, codec)
        print(f"\n{codec!r}")
        entry: dict[str, Any] = {
            "affine": compare_affine(mmpose, codec),
            "flip equal": compare_flip(mmpose, codec),
            "encode": compare_encoding(reference, codec),
        }
        for name, value in entry.items():
            print(f"  {name}: {value}")
        for name, maps in maps_of(codec, recorded):
            entry[name] = compare_decoding(reference, codec, maps)
            print(f"  decode {name}: " + ", ".join(f"{key} {value:.3g}" for key, value in entry[name].items()))
        figures[repr(codec)] = entry
    print(f"\nrescoring and OKS-NMS: {figures['scoring']}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
