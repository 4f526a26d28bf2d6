"""``kdkit-pose cache build``."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import cv2
import torch
import typer
from rich.console import Console
from torch import Tensor

from kdkit import ConfigurationError, Identity, TargetCache, Teacher, build_cache
from kdkit.cache import CANONICAL, BuildReport
from kdkit.cache.header import Header, read_header, shard_path
from kdkit.processes import Processes
from kdkit_pose.cli import options
from kdkit_pose.cli.codec_choice import choose_codec
from kdkit_pose.cli.cut_persons import refuse_with_cut
from kdkit_pose.cli.datasets import skeleton_of
from kdkit_pose.cli.fast import FastTeachers, make_fast
from kdkit_pose.cli.given import refuse, require_with
from kdkit_pose.cli.grouped import grouped
from kdkit_pose.cli.loading import LoadedNetwork, check_codec, check_skeleton, load_network, skeleton_in
from kdkit_pose.cli.option_groups import DataFiles, Fitting, UnlabelledPersons
from kdkit_pose.cli.outputs import check_outputs
from kdkit_pose.cli.show import progress_bar, write_json
from kdkit_pose.cli.storage import Storage, StoredAs
from kdkit_pose.cli.training_data import load_data
from kdkit_pose.codecs import Codec
from kdkit_pose.components import count_components
from kdkit_pose.data import PoseDataset
from kdkit_pose.mask_aware_teacher import MaskAwareTeacher
from kdkit_pose.skeleton import Skeleton


@dataclass(frozen=True)
class Persons:
    """Whom the teacher looks at: the training persons of a later run."""

    annotations: Annotated[Path, typer.Option(help="COCO-format keypoint annotations to train on.")]
    images: options.Images
    packed: options.Packed = None
    shards: options.Shards = None
    skeleton: options.SkeletonOption = None
    sigmas: options.SigmasOption = None
    predicted_masks: options.PredictedMasks = None
    augment: options.Augmentation = True
    seed: Annotated[
        int, typer.Option(min=0, help="Seed of the augmentation: the one that distill will be given.")
    ] = 0

    @property
    def files(self) -> DataFiles:
        """What they are read from, as for training."""
        named = (self.packed, self.skeleton, self.sigmas)
        masks = self.predicted_masks
        return DataFiles(self.annotations, self.images, *named, predicted_masks=masks, shards=self.shards)


@dataclass(frozen=True)
class Coverage:
    """Of which views heatmaps are kept."""

    views: Annotated[
        int | None, typer.Option(min=1, help="Variants of each person: at best the epochs that learn from it.")
    ] = None
    canonical: Annotated[
        bool,
        typer.Option(
            "--canonical",
            help="In place of --views: one heatmap of each person as it is without augmentation, which distill "
            "warps to every view.",
        ),
    ] = False

    def check(self, context: typer.Context) -> None:
        """Require one of the two, and no options that a map for all views has no use for.

        Raises:
            ConfigurationError: if there is none, or both, or such an option.
        """
        if self.canonical and self.views is not None:
            raise ConfigurationError("--views and --canonical are two kinds of cache: give one of them")
        if not self.canonical and self.views is None:
            raise ConfigurationError(
                "give --views, the variants of each person that the teacher looks at, or --canonical, to look "
                "at each once"
            )
        if self.canonical:
            unused = ["transform", "threshold", "seed", "augment"]
            refuse(
                context,
                unused,
                "a canonical cache is of the heatmaps as they are without augmentation, for "
                "every seed and threshold; leave it out",
            )


@dataclass(frozen=True)
class Heatmaps:
    """What the teacher's heatmaps mean, where its file does not say it."""

    codec: options.CodecName = None
    input_size: options.InputSize = None
    sigma: options.Sigma = None


@dataclass(frozen=True)
class Running:
    """How the teacher is run, which changes no more than rounding."""

    fast_teachers: FastTeachers = False
    part: Annotated[
        str | None,
        typer.Option(help="Make this part alone, 0/4 to 3/4 of four, where machines share no file locks."),
    ] = None
    batch_size: Annotated[int, typer.Option(min=1, help="Persons at a time.")] = 32
    workers: options.Workers = 0
    cpu: Annotated[bool, typer.Option("--cpu", help="Stay on the CPU even where there is a GPU.")] = False

    @property
    def device(self) -> torch.device:
        """Where the teacher runs."""
        return torch.device("cuda" if torch.cuda.is_available() and not self.cpu else "cpu")

    @property
    def parts(self) -> tuple[int, int]:
        """Which part of how many is made.

        Raises:
            ConfigurationError: if the option names none.
        """
        if self.part is None:
            return 0, 1
        first, _, parts = self.part.partition("/")
        if not (first.isdecimal() and parts.isdecimal() and int(first) < int(parts)):
            raise ConfigurationError(f"--part '{self.part}' must be i/n with i from 0 on and below n, as 0/4")
        return int(first), int(parts)


@grouped
def cache_build(
    context: typer.Context,
    *,
    teacher: Annotated[Path, typer.Option(help="The teacher's file.")],
    persons: Persons,
    out: Annotated[Path, typer.Option(help="The cache's folder; one that is not finished is gone on with.")],
    coverage: Coverage,
    model: Annotated[
        str | None, typer.Option(help="The teacher's network, where its file does not say it.")
    ] = None,
    mask_fusion: Annotated[
        str, typer.Option(help="How the mask enters the teacher, where its file does not say it.")
    ] = "none",
    storage: Storage,
    heatmaps: Heatmaps,
    unlabelled: UnlabelledPersons,
    running: Running,
    json_file: options.Json = None,
) -> None:
    """Run a teacher once for all, and keep its heatmaps.

    For every view of every person: distill then reads them, given the same data, augmentation
    and seed. Run it again to go on where it was stopped, or several times at once to share the
    work.

    \b
    Example:
      kdkit-pose cache build --teacher runs/w48-mask/student.safetensors \\
        --annotations person_keypoints_train2017.json --images train2017 \\
        --transform binarize --views 105 --out caches/senior
    """
    console = Console(highlight=False, soft_wrap=True)
    files, parts = persons.files, running.parts
    check_outputs({"--json": json_file}, {"--teacher": teacher, "--annotations": persons.annotations})
    coverage.check(context)
    storage.check(context)
    require_with(context, ["boxes"], ["box_threshold"])
    refuse_with_cut(context, files)
    known = skeleton_in(teacher)
    body = skeleton_of(persons.annotations, persons.skeleton, persons.sigmas, known=known)
    loaded = load_network(teacher, model, mask_fusion, "--model")
    check_skeleton(loaded, body, f"'{persons.annotations}'")
    console.print(f"teacher: {loaded.report}", markup=False)
    codec = _codec(loaded, heatmaps, console)
    masks = "mask" in loaded.network.inputs
    if not masks:
        refuse(context, ["predicted_masks"], "the teacher reads no masks; leave it out")
    data = load_data(
        *(files, codec, body, Fitting(augment=persons.augment, seed=persons.seed), console),
        masks=masks,
        reader=f"'{teacher}'",
        unlabelled=unlabelled,
    ).train
    if coverage.canonical:
        data = data.unaugmented()
    components = _Components()
    with progress_bar("caching targets") as progress:
        report = build_cache(
            *(out, _runner(loaded, data, running, console), data),
            codecs={"heatmap": storage.record_codec},
            views=coverage.views or 1,
            transforms=_transforms(storage),
            prepare=data.prepare,
            fingerprint=CANONICAL if coverage.canonical else None,
            part=parts,
            batch_size=running.batch_size,
            workers=running.workers,
            device=running.device,
            progress=progress,
            observe=components if storage.stored_as is StoredAs.bit_window else None,
            recorded=_origin(teacher, loaded.network.codec or codec, body),
        )
    _show(_together(report, components), components, json_file, console)


class _Components:
    """Counts maps of several components, and all maps."""

    def __init__(self) -> None:
        self.several = self.maps = 0

    def __call__(self, targets: Any) -> None:
        counts: Tensor = count_components(targets["heatmap"])
        self.several += int((counts > 1).sum())
        self.maps += counts.numel()

    def to_json(self) -> dict[str, int] | None:
        """Return both, or None where nothing was counted."""
        return {"several": self.several, "maps": self.maps} if self.maps else None


def _codec(loaded: LoadedNetwork, heatmaps: Heatmaps, console: Console) -> Codec:
    """Return what the teacher's heatmaps mean, which it knows from then on, and say how it is known."""
    chosen = choose_codec(loaded, heatmaps.codec, heatmaps.input_size, heatmaps.sigma)
    check_codec(chosen.codec, loaded.codec, loaded.report.path)
    console.print(f"heatmaps: {chosen.codec} ({chosen.how})", markup=False)
    loaded.network.codec = chosen.codec
    # As distill has it: how a student's maps are decoded is no matter of what it learns from.
    return replace(chosen.codec, decoder="peak")


def _runner(loaded: LoadedNetwork, data: PoseDataset, running: Running, console: Console) -> Teacher:
    """Return the teacher as it is run."""
    teacher = MaskAwareTeacher("teacher", loaded.network)
    if running.workers:
        # Workers share the cores: OpenCV's threads in each would only get in each other's way.
        cv2.setNumThreads(0)
    if not running.fast_teachers:
        return teacher
    fast = make_fast(teacher, data, running.batch_size, running.device)
    console.print(str(fast), markup=False)
    return fast


def _transforms(storage: Storage) -> dict[str, Any]:
    how = storage.target_transform
    return {} if how == Identity() else {"heatmap": how}


def _origin(teacher: Path, codec: Codec, skeleton: Skeleton) -> dict[str, str]:
    """What the cache's header says beside: enough to learn from it without the teacher's file."""
    return {"teacher_file": teacher.name, **codec.to_metadata(), **skeleton.to_metadata()}


def _together(report: BuildReport, components: _Components) -> BuildReport:
    """Return what all processes did together, once all are done; the components become those of all, too."""
    everyone = Processes.current().gathered((report, components))
    components.several = sum(one.several for _, one in everyone)
    components.maps = sum(one.maps for _, one in everyone)
    built = sum(one.built for one, _ in everyone)
    inexact: dict[str, tuple[int, int]] = {}
    for one, _ in everyone:
        for name, (lossy, maps) in one.inexact.items():
            before = inexact.get(name, (0, 0))
            inexact[name] = before[0] + lossy, before[1] + maps
    return replace(report, built=built, found=report.built + report.found - built, inexact=inexact)


def _show(report: BuildReport, components: _Components, json_file: Path | None, console: Console) -> None:
    header = read_header(report.path)
    missing = sum(not shard_path(report.path, shard).exists() for shard in range(header.shards))
    size = sum(header.shard_bytes(shard) for shard in range(header.shards))
    inexact = report.inexact if missing else TargetCache.open(report.path, verify="none").inexact
    console.print(f"records: {report.built:,} made, {report.found:,} there already", markup=False)
    console.print(f"{header.record_bytes:,} bytes a person's view, {size / 1e6:,.1f} MB in all", markup=False)
    which = " of those made now" if missing else ""
    for name, (lossy, maps) in inexact.items():
        console.print(f"{name}: maps not stored exactly: {_share(lossy, maps)}{which}", markup=False)
    if components.maps:
        told = _share(components.several, components.maps)
        console.print(f"heatmap: maps of several components: {told} of those made now", markup=False)
    if missing:
        console.print(f"not finished: {missing} of {header.shards} shards are missing", markup=False)
    console.print(f"written: {report.path}", markup=False)
    if Processes.current().is_main:
        write_json(_figures(report, header, inexact, components, missing), json_file)


def _figures(
    report: BuildReport,
    header: Header,
    inexact: dict[str, tuple[int, int]],
    components: _Components,
    missing: int,
) -> dict[str, Any]:
    return {
        "records": header.records,
        "made": report.built,
        "found": report.found,
        "record_bytes": header.record_bytes,
        "inexact": {name: {"inexact": lossy, "maps": maps} for name, (lossy, maps) in inexact.items()},
        "several_components": components.to_json(),
        "shards": header.shards,
        "missing_shards": missing,
    }


def _share(some: int, of: int) -> str:
    return f"{some:,} of {of:,} ({some / max(of, 1):.2%})"
