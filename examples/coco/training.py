"""Teachers as a run uses them, and the run itself."""

from pathlib import Path

from kdkit import Curriculum, TargetCache, Teacher, build_cache, fast_teacher
from kdkit.cache import CANONICAL, CanonicalTeacher, Window, cache_fingerprint
from kdkit_pose import COCO, MaskAwareTeacher, loader
from kdkit_pose.data import PoseDataset
from kdkit_pose.fit import FitSettings, fit
from kdkit_pose.models import PoseNetwork

from .persons import Persons


def make_teacher(persons: Persons, role: str, path: Path) -> Teacher:
    """Return a file's network as a teacher, made fast, and run once for all epochs, where options ask for that."""
    options = persons.options
    teacher: Teacher = MaskAwareTeacher(role, persons.load(path))
    if not options.fast_teachers and not options.canonical_caches:
        return teacher
    whole = persons.train(masks="mask" in teacher.reads).unaugmented()
    if options.fast_teachers:
        batch = next(iter(loader(whole, min(options.batch_size, len(whole)))))
        batch = {name: value.to(options.device) for name, value in batch.items()}
        seen = batch if whole.prepare is None else whole.prepare(batch)
        teacher = fast_teacher(teacher, seen, compile=options.device.type == "cuda")
        print(teacher, flush=True)
    return cached(persons, teacher, whole) if options.canonical_caches else teacher


def cached(persons: Persons, teacher: Teacher, whole: PoseDataset) -> Teacher:
    """Return what gives a teacher's heatmaps of the persons as they are, warped to every view of them.

    Not quite what the teacher would give for the views; docs/how-to/cache.md says what is lost.
    """
    options, folder = persons.options, persons.options.out / "caches" / teacher.name
    report = build_cache(
        *(folder, teacher, whole),
        codecs={"heatmap": Window(11, "uint8")},
        views=1,
        prepare=whole.prepare,
        fingerprint=CANONICAL,
        batch_size=options.batch_size,
        workers=options.workers,
        device=options.device,
    )
    print(report, flush=True)
    expected = cache_fingerprint(teacher, whole, prepare=whole.prepare, fingerprint=CANONICAL)
    return CanonicalTeacher(
        *(teacher.name, TargetCache.open(folder, expect=expected)),
        swapped={"heatmap": COCO.flip_permutation},
        width="kept",
        records=f"{teacher.name}_records",
    )


def train(
    persons: Persons,
    name: str,
    network: PoseNetwork,
    curriculum: Curriculum,
    data: PoseDataset,
    rate: float,
) -> None:
    """Take a network through its curriculum; go on where it was stopped, and do nothing where it is done.

    The last epoch's weights are kept: the best ones of several evaluations would flatter what varies most.
    """
    options = persons.options
    settings = FitSettings(
        batch_size=options.batch_size,
        learning_rate=rate,
        workers=options.workers,
        precision=options.precision,
        performance=options.performance,
        seed=options.seed,
        evaluate_every=options.evaluate_every,
        export="last",
        cpu=options.device.type == "cpu",
    )
    print(f"{name}: {len(data)} training persons", flush=True)
    evaluator = persons.evaluator(persons.codec, masks="mask" in network.inputs)
    result = fit(network, curriculum, data, options.out / name, settings, evaluator=evaluator)
    print(f"{name}: {result.epochs} epochs, AP {result.metrics['val/AP']:.3f} with ground truth boxes", flush=True)
