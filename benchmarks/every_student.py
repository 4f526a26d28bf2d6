"""Every kind of student through everything: 50 steps of ODKD, evaluation, prediction, ONNX.

    python benchmarks/every_student.py --annotations FOLDER --images FOLDER --out runs/students

The annotations' FOLDER holds person_keypoints_train2017.json and person_keypoints_val2017.json. Each student goes
through the commands that a user would type, in two epochs of 25 steps; ``kdkit-pose export`` compares its heatmaps
in onnxruntime with PyTorch's. The APs are near 0, as 50 steps give: what is shown is that every part takes every
student. Teachers are small HRNets of a few steps, for the same reason. A student that took another number of
steps, predicted nobody, or whose ONNX file differs by 1e-4 or more is named at the end, and the exit code is 1.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

STUDENTS = (
    "hrnet_w16",
    "hourglass4_128",
    "lpn_50",
    "litehrnet_18",
    "litehrnet_30",
    "simplebaseline_mobilenetv2_100",
    "simplebaseline_mobilenetv3_large_100",
    "simplebaseline_efficientnet_lite0",
    "simplebaseline_resnet18",
    "simplebaseline_resnet50",
)
STEPS_AN_EPOCH = 25
EPOCHS = 2
LARGEST_DIFFERENCE = 1e-4


def kdkit_pose(command: str, **options: Any) -> str:
    """What the command prints; ``words`` are its arguments, all else its options."""
    words = list(options.pop("words", []))
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    line = [sys.executable, "-c", "from kdkit_pose.cli import main; main()", command, *flags, *map(str, words)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"kdkit-pose {command} {' '.join(flags)} failed:\n{done.stderr}")
    return done.stdout


def teachers(data: dict[str, Any], out: Path) -> dict[str, Path]:
    """A primary and a senior teacher of one epoch."""
    common = {**data, "model": "hrnet_w16_small", "epochs": 1, "evaluate_every": 1}
    kdkit_pose("train", **common, out=out / "primary")
    primary = out / "primary" / "student.safetensors"
    kdkit_pose("train", **common, mask_fusion="concat", checkpoint=primary, out=out / "senior")
    return {"primary": primary, "senior": out / "senior" / "student.safetensors"}


def go_through(
    student: str, data: dict[str, Any], taught: dict[str, Path], val: dict[str, Path], out: Path
) -> Any:
    folder = out / student
    settings = {"recipe": "odkd", "student": student, "epochs": EPOCHS, "evaluate_every": EPOCHS, "export": "last"}
    kdkit_pose("distill", **data, **taught, **settings, out=folder)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    checkpoint = folder / "student.safetensors"
    kdkit_pose("evaluate", checkpoint=checkpoint, **val, json=folder / "figures.json")
    pictures = sorted(Path(val["images"]) / name for name in some_pictures(val["annotations"], 10))
    predicted = folder / "predicted"
    kdkit_pose("predict", checkpoint=checkpoint, boxes=val["annotations"], out=predicted, words=pictures)
    exported = kdkit_pose("export", checkpoint=checkpoint, format="onnx", out=folder / "student.onnx")
    return {
        "steps": max(line["step"] for line in lines),
        "AP": json.loads((folder / "figures.json").read_text())["AP"],
        "predicted": len(json.loads((predicted / "results.json").read_text())),
        "onnx": float(exported.partition("differ by at most ")[2].split()[0]),
    }


def problems(found: dict[str, Any]) -> list[str]:
    """What of a student is not as it must be."""
    steps = EPOCHS * STEPS_AN_EPOCH
    checks = {
        f"{found['steps']} steps, not {steps}": found["steps"] == steps,
        "nobody was predicted": found["predicted"] > 0,
        # So that a difference that is no number fails, too.
        f"its ONNX file differs by {found['onnx']:.1e}": found["onnx"] < LARGEST_DIFFERENCE,
    }
    return [problem for problem, passed in checks.items() if not passed]


def some_pictures(annotations: Path, count: int) -> list[str]:
    content = json.loads(annotations.read_text())
    shown = {one["image_id"] for one in content["annotations"] if one["num_keypoints"]}
    return [image["file_name"] for image in content["images"] if image["id"] in shown][:count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotations", type=Path, required=True, help="folder of the two annotation files")
    parser.add_argument("--images", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--out", type=Path, default=Path("runs/students"), help="where runs and files go")
    parser.add_argument("--input-size", default="128x128", help="height x width, multiples of 64")
    parser.add_argument("--students", nargs="+", default=STUDENTS, help="which ones; all by default")
    options = parser.parse_args()
    train, val = (options.annotations / f"person_keypoints_{part}2017.json" for part in ("train", "val"))
    persons = sum(one["num_keypoints"] > 0 for one in json.loads(train.read_text())["annotations"])
    data = {
        "train_annotations": train,
        "images": options.images,
        "val_annotations": val,
        "batch_size": persons // STEPS_AN_EPOCH,
    }
    taught = teachers({**data, "input_size": options.input_size, "sigma": 1.5}, options.out)
    print(
        f"{'student':<38}{'steps':>6}{'AP':>8}{'predicted':>11}{'ONNX difference':>17}{'seconds':>9}", flush=True
    )
    failures = []
    for student in options.students:
        begin = time.perf_counter()
        found = go_through(student, data, taught, {"annotations": val, "images": options.images}, options.out)
        print(
            f"{student:<38}{found['steps']:>6}{found['AP']:>8.4f}{found['predicted']:>11}{found['onnx']:>10.1e}"
            f"{time.perf_counter() - begin:>9.0f}",
            flush=True,
        )
        failures += [f"{student}: {problem}" for problem in problems(found)]
    if failures:
        raise SystemExit("\n".join(failures))


if __name__ == "__main__":
    main()
