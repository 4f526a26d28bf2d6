"""ODKD from nothing to an evaluated student, on synthetic people drawn in memory: about a minute on a CPU.

    python examples/odkd_pose.py
    python examples/odkd_pose.py --pictures 400 --epochs 20     # longer, so that something is learned

A minute teaches little: expect an AP near 0. What matters here are the steps, which stay the same for COCO.
"""

import argparse
from pathlib import Path

from kdkit_pose import DARK, CocoKeypoints, Evaluator, MaskAwareTeacher, SyntheticPeople, loader, models, recipes
from kdkit_pose.fit import FitSettings, fit

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--out", type=Path, default=Path("runs/odkd_pose"), help="folder of the runs")
parser.add_argument("--pictures", type=int, default=16, help="training pictures, of one person or several")
parser.add_argument("--epochs", type=int, default=2, help="of each teacher, and of each stage of the student")
options = parser.parse_args()

# 1. Data. The codec owns how keypoints become heatmaps and back; its input_size is (width, height). For COCO:
#    CocoKeypoints("person_keypoints_train2017.json", "train2017", codec=codec, augment=Augment()).
codec = DARK(input_size=(96, 128))


def people(pictures: int, seed: int) -> CocoKeypoints:
    drawn = SyntheticPeople(pictures, seed=seed)
    return CocoKeypoints(drawn.annotations(), drawn.picture, codec=codec, cache_images=True)


def network(name: str, mask_fusion: str = "none") -> models.PoseNetwork:
    # Recipes learn binarized targets by binary cross-entropy, behind a sigmoid; `fit` reads discs by centroids.
    return models.create(name, mask_fusion=mask_fusion, activation="sigmoid")


train, val = people(options.pictures, seed=0), people(max(options.pictures // 3, 2), seed=1)
evaluate = Evaluator(loader(val, 64), val.coco_dict(), codec)
settings = FitSettings(batch_size=8, evaluate_every=options.epochs)

# 2. Two teachers, trained on the ground truth alone. The senior one also sees each person's mask.
primary = network("hrnet_w8_small")
senior = network("hrnet_w16_small", mask_fusion="concat")
for name, teacher in (("primary", primary), ("senior", senior)):
    plan = recipes.supervised(until=options.epochs)
    result = fit(teacher, plan, train, options.out / name, settings, evaluator=evaluate)
    print(f"{name}: AP {result.metrics['val/AP']:.3f}")

# 3. The student learns from one after the other. The recipe is an ordinary curriculum: print it.
teachers = MaskAwareTeacher("primary", primary), MaskAwareTeacher("senior", senior)
curriculum = recipes.odkd(*teachers, primary_until=options.epochs, senior_until=options.epochs)
print(curriculum)

student = network("hrnet_w8_small")
result = fit(student, curriculum, train, options.out / "odkd", settings, evaluator=evaluate)

# 4. The finished student needs no mask, and its file says which network and which codec it is.
found = models.load(result.student)
metrics = evaluate.decoded_by(found.codec.decoder).metrics(found)
print(f"student: AP {metrics['AP']:.3f}, AP50 {metrics['AP50']:.3f} with {metrics['boxes']} boxes")
print(f"written: {result.student}")
