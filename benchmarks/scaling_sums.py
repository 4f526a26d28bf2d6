"""What 10^5 to 10^9 persons take of the disk and of memory, by counting: the table of docs/scaling.md.

    python benchmarks/scaling_sums.py           # prints it
    python benchmarks/scaling_sums.py --page    # and puts it into docs/scaling.md

Records of caches are as large as their codecs make them, for 17 keypoints at 256x192. Packed persons and
annotations are those of drawn people in pictures of 640x480, multiplied; real ones differ.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # run as a file, it sees only its own folder

from kdkit.cache import BitWindow, Dense, Window  # noqa: E402
from kdkit.cache.records import CHECKSUM_BYTES  # noqa: E402
from kdkit_pose import CocoKeypoints, SyntheticPeople  # noqa: E402
from kdkit_pose.codecs import MSRA  # noqa: E402
from kdkit_pose.data import packed_bytes  # noqa: E402
from kdkit_pose.synthetic import write_coco  # noqa: E402

PAGE = ROOT / "docs" / "scaling.md"
BEGIN, END = "<!-- Made by benchmarks/scaling_sums.py --page: -->\n", "<!-- to here. -->"
SAMPLES = tuple(10**power for power in range(5, 10))
MAPS = (17, 64, 48)
PICTURES = 50
INDEX = 8  # bytes of a number in an order or a list of ids


@dataclass(frozen=True)
class Sum:
    """Something that grows with the samples.

    Attributes:
        what: it is.
        where: it lies.
        each: bytes a sample.
    """

    what: str
    where: str
    each: float


def sums() -> Iterator[Sum]:
    """Yield all that is counted."""
    annotations, packed = of_drawn_people()
    yield Sum("annotations, as COCO's JSON", "disk; read whole by every process", annotations)
    yield Sum("order of an epoch, two arrays while it is drawn", "memory, every process", 2 * INDEX)
    yield Sum("packed persons with masks", "disk, mapped", packed)
    for what, codec, views in (
        ("cache of one binarized view, `BitWindow(11)`", BitWindow(11), 1),
        ("cache of 100 binarized views, `BitWindow(11)`", BitWindow(11), 100),
        ('canonical cache, `Window(11, "uint8")`', Window(11, "uint8"), 1),
        ('cache of one view, `Dense("float16")`', Dense("float16"), 1),
    ):
        yield Sum(what, "disk, mapped", views * (codec.record_bytes(MAPS) + CHECKSUM_BYTES))


def of_drawn_people() -> tuple[float, float]:
    """Bytes a person of a set's annotations, and of the set when it is packed."""
    with tempfile.TemporaryDirectory() as folder:
        file = write_coco(SyntheticPeople(PICTURES, seed=0), Path(folder), "some")
        data = CocoKeypoints(file, Path(folder) / "images", codec=MSRA((192, 256)), masks=True)
        return file.stat().st_size / len(data), packed_bytes(data) / len(data)


def size(count: float) -> str:
    """Bytes in the largest unit that leaves one digit or more before the point."""
    units = {"PB": 1e15, "TB": 1e12, "GB": 1e9, "MB": 1e6, "kB": 1e3}
    name, factor = next(((name, factor) for name, factor in units.items() if count >= factor), ("bytes", 1.0))
    return f"{count / factor:.3g} {name}"


def table() -> str:
    """The table as markdown."""
    head = ["", "where", "a sample", *(f"10^{len(str(count)) - 1}" for count in SAMPLES)]
    lines = [head, ["---"] * len(head)]
    for one in sums():
        lines.append([one.what, one.where, size(one.each), *(size(one.each * count) for count in SAMPLES)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def on_page(page: str, text: str) -> str:
    """The page's text with the table in its place."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + text + END + rest.split(END)[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", action="store_true", help="write it into docs/scaling.md")
    options = parser.parse_args()
    text = table()
    print(text, end="")
    if options.page:
        PAGE.write_text(on_page(PAGE.read_text(encoding="utf-8"), text), encoding="utf-8")


if __name__ == "__main__":
    main()
