"""How many synthetic pictures one core draws a second, annotations and masks included.

    python benchmarks/synthetic_speed.py

CPU time of this process is counted, so that a busy machine changes the figure little.
"""

import argparse
import time

import cv2

from kdkit_pose import SyntheticPeople


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=200)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    for crowded in (0.0, 0.5, 1.0):
        people = SyntheticPeople(arguments.pictures, seed=0, crowded=crowded)
        people[0]  # once before counting: imports and caches
        start = time.process_time()
        persons = sum(len(picture.annotations) for picture in people)
        seconds = time.process_time() - start
        width, height = people.size
        print(
            f"crowded {crowded:.1f}: {len(people) / seconds:.0f} pictures of {width}x{height} a second, "
            f"{persons / len(people):.1f} people each"
        )


if __name__ == "__main__":
    main()
