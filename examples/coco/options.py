"""The options of examples/coco_odkd.py."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from accelerate import PartialState

from kdkit import ConfigurationError
from kdkit.processes import stays_on_cpu
from kdkit_pose import codecs, models

STEPS = ("check", "senior", "plain", "distill", "evaluate")
DETECTIONS = Path("person_detection_results", "COCO_val2017_detections_AP_H_56_person.json")


def parse_options(description: str, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options, with the parts of COCO's folder found and the device chosen.

    Raises:
        ConfigurationError: a step is unknown, or something it needs was not given.
    """
    options = _parser(description).parse_args(arguments)
    # As torchrun and accelerate launch tell each process; a trainer would find the same.
    state = PartialState(cpu=stays_on_cpu(options.cpu))
    options.device = torch.device(state.device)
    if not state.is_main_process:  # of several processes only the first prints
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # as long as the process lasts
    if options.input_size is not None:
        options.input_size = tuple(options.input_size)
    _check_steps(options)
    _check_binarized(options)
    _find_data(options)
    return options


def _parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", metavar="STEP", help="all by default")
    parser.add_argument("--out", type=Path, default=Path("runs/coco"), help="folder of all that is made")
    add = parser.add_argument_group("data").add_argument
    add("--data", type=Path, default=Path("coco"), help="COCO's folder; where its parts lie elsewhere:")
    add("--train-annotations", type=Path, help="person_keypoints_train2017.json")
    add("--train-images", type=Path, help="folder of the training pictures")
    add("--val-annotations", type=Path, help="person_keypoints_val2017.json")
    add("--val-images", type=Path, help="folder of the validation pictures")
    add("--boxes", type=Path, help=f"a detector's boxes of val2017; by default {DETECTIONS}, where it is there")
    add("--packed", type=Path, help="folder to pack the training persons in, for epochs that decode no pictures")
    add("--codec", choices=codecs.names(), help="of files that do not say it; by default msra, the official one")
    add("--input-size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="by default 192 256")
    add("--sigma", type=float, help="of the heatmaps, in cells: by default 2; 3 at 288 384")
    add = parser.add_argument_group("teachers").add_argument
    add("--primary", type=Path, help="HRNet-W32's file: official, mmpose's or kdkit's")
    add("--senior-rgb", type=Path, help="HRNet-W48's, without masks, for the senior to start from")
    add("--senior", type=Path, help="a senior that reads masks already; none is trained then")
    add("--mask-fusion", choices=("concat", "multiply", "add"), default="concat", help="how masks enter")
    add("--primary-ap", type=float, help="what was reported of --primary with ground-truth boxes, 0 to 1")
    add("--senior-rgb-ap", type=float, help="the same of --senior-rgb")
    add("--tolerance", type=float, default=0.005, help="how far below it the AP may be")
    add("--allow-weak-teachers", action="store_true", help="warn where the checks would stop")
    add("--fast-teachers", action="store_true", help="folded, cast once and, on a GPU, compiled")
    add("--canonical-caches", action="store_true", help="run once a person, not once an epoch: nearly the same")
    add = parser.add_argument_group("training").add_argument
    add("--student", default="hrnet_w16", help=", ".join(models.names()))
    add("--epochs", type=int, nargs=2, default=(105, 105), metavar=("PRIMARY", "SENIOR"), help="of each stage")
    add("--senior-epochs", type=int, default=20, help="of the senior's own training: our guess, never tried")
    add("--senior-rate", type=float, default=1e-4, help="its learning rate: likewise")
    add(
        "--loss",
        choices=("bce", "mse"),
        default="bce",
        help="of both students: bce learns discs behind a sigmoid; by mse the reported figures were made",
    )
    add(
        "--binarized",
        choices=("none", "truth", "teacher", "both"),
        help="in the senior's stage, else the recipe's",
    )
    add("--learning-rate", type=float, default=1e-3, help="Adam's, of the students")
    add("--batch-size", type=int, default=128, help="persons a step; also of evaluations")
    add("--precision", choices=("no", "bf16", "fp16"), help="by default what --performance says")
    add("--performance", choices=("default", "max"), default="default")
    add("--workers", type=int, default=4, help="processes that read samples")
    add("--evaluate-every", type=int, default=10, help="epochs between evaluations")
    add("--seed", type=int, default=0, help="of the student's weights, sample order and augmentation")
    add("--cpu", action="store_true", help="stay on the CPU even where there is a GPU")
    return parser


def _check_binarized(options: argparse.Namespace) -> None:
    """Require a senior of probabilities where it is learned from as it is, before days are spent on it."""
    file = options.senior or options.senior_rgb
    if options.loss == "mse" or options.binarized not in ("none", "truth") or "distill" not in options.steps:
        return
    if file is not None and file.exists() and models.recognise(file).activation == "none":
        raise ConfigurationError(
            f"--binarized {options.binarized} leaves the senior's heatmaps as they are, and '{file}' learned by "
            f"squared error, so they are no probabilities: give --binarized both, or --loss mse"
        )


def _check_steps(options: argparse.Namespace) -> None:
    """Require steps that there are, and the teachers' files that they need; all steps if none is named."""
    options.steps = options.steps or list(STEPS)
    if unknown := sorted(set(options.steps) - set(STEPS)):
        raise ConfigurationError(f"there is no step {unknown[0]!r}, only {', '.join(STEPS)}")
    if options.primary is None and {"check", "senior", "distill"} & set(options.steps):
        raise ConfigurationError("the teachers are needed: give --primary, HRNet-W32's file")
    options.senior_file = options.senior or options.out / "senior" / "student.safetensors"
    if options.senior is None and options.senior_rgb is None and "senior" in options.steps:
        raise ConfigurationError("the senior is needed: give --senior-rgb, HRNet-W48's file, or --senior")
    if "distill" in options.steps and "senior" not in options.steps and not options.senior_file.exists():
        raise ConfigurationError(f"there is no '{options.senior_file}': take the step 'senior', or give --senior")
    for name in ("plain", "distill") if "evaluate" in options.steps else ():
        student = options.out / name / "student.safetensors"
        if name not in options.steps and not student.exists():
            raise ConfigurationError(f"there is no '{student}': take the step '{name}' to its end first")


def _find_data(options: argparse.Namespace) -> None:
    """Find the parts of COCO's folder that no option names: pictures lie in it, or in its folder images."""
    for split in ("train", "val"):
        folders = options.data / f"{split}2017", options.data / "images" / f"{split}2017"
        places = {
            "images": folders[0] if folders[0].is_dir() else folders[1],
            "annotations": options.data / "annotations" / f"person_keypoints_{split}2017.json",
        }
        for part, place in places.items():
            name = f"{split}_{part}"
            path = getattr(options, name) or place
            if not path.exists():
                raise ConfigurationError(f"there is no '{path}': give --data or --{name.replace('_', '-')}")
            setattr(options, name, path)
    if options.boxes is None and (options.data / DETECTIONS).exists():
        options.boxes = options.data / DETECTIONS
