"""Lets atheris look for inputs that reach new code in the readers, for a bounded time; each is read or refused.

    python benchmarks/fuzz_atheris.py --seconds 60

The valid files are those of `fuzz.py`; of each reader the file that it spoils is changed, guided by which code of
kdkit's it reaches. Anything but a file read and a `KdkitError` ends it, and the input is kept in the folder
--keep. Where atheris cannot be imported it says so, and ends well: it is there for some systems only.
"""

import argparse
import contextlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, it sees only its own folder

READERS = (
    *("COCO keypoints, to train on", "COCO keypoints, to evaluate on", "detector boxes", "predicted masks"),
    *("run checkpoint", "training file, recognised", "safetensors", "cache", "packed persons"),
)
FILES = {
    **dict.fromkeys(READERS[:2], "annotations/person_keypoints_few.json"),
    "detector boxes": "boxes.json",
    "predicted masks": "masks.json",
    "run checkpoint": "last.pt",
    "training file, recognised": "epoch.pth",
    "safetensors": "student.safetensors",
    "cache": "header.json",
    "packed persons": "header.json",
}
MEMORY = 2048  # MiB, beyond what is there when reading begins


def fuzz(reader: str, seconds: int, keep: Path) -> None:
    """Look for inputs of one reader, in this process; atheris ends it."""
    import atheris

    # Before anything of kdkit's is imported: its modules are to be watched.
    with atheris.instrument_imports(include=["kdkit", "kdkit_pose"]):
        from benchmarks.fuzzing.child import targets_of
        from benchmarks.fuzzing.targets import GROUPS
        from kdkit.errors import KdkitError

    warnings.simplefilter("ignore")
    folder = Path(tempfile.mkdtemp())
    groups = GROUPS[:1] if reader in READERS[:4] else GROUPS[1:2]
    (target,) = (one for group in groups for one in targets_of(group, folder / "made") if one.name == reader)
    for name, content in target.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    corpus = folder / "corpus"
    corpus.mkdir()
    (corpus / "valid").write_bytes(target.files[FILES[reader]])
    place = folder / FILES[reader]

    def read(data: bytes) -> None:
        place.write_bytes(data)
        with contextlib.suppress(KdkitError):
            target.read(folder)

    options = [
        f"-max_total_time={seconds}",
        "-timeout=5",
        f"-rss_limit_mb={MEMORY}",
        "-max_len=60000",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={keep}/", "-print_final_stats=1", str(corpus)], read)
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="in all")
    parser.add_argument("--reader", choices=READERS, help="only this one")
    parser.add_argument("--keep", type=Path, default=Path("runs/fuzz"), help="where inputs that fail are kept")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed (pip install 'kdkit[fuzz]'; Linux, Python up to 3.13): nothing is done")
        return
    options.keep.mkdir(parents=True, exist_ok=True)
    if options.child:
        fuzz(options.reader, options.seconds, options.keep)
        return
    readers = (options.reader,) if options.reader else READERS
    each, failed = max(options.seconds // len(readers), 1), []
    for reader in readers:
        command = [sys.executable, __file__, "--child", "--reader", reader, "--seconds", str(each), "--keep"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        run = subprocess.run(
            [*command, str(options.keep)],
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        stats = [
            line.split(":")[-1].strip() for line in run.stderr.splitlines() if "number_of_executed_units" in line
        ]
        print(
            f"{reader:<32}{stats[-1] if stats else '?':>8} inputs  {'fine' if run.returncode == 0 else 'FAILED'}",
            flush=True,
        )
        if run.returncode:
            failed.append(reader)
            print(run.stderr[-3000:])
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
