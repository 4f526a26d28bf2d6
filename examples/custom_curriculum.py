"""A curriculum of one's own: three teachers and an ensemble, four stages, about a minute on a CPU.

python examples/custom_curriculum.py     # read it for how it is composed, not for its AP
"""

import argparse
from functools import partial

import torch
import torch.nn.functional as F

import kdkit as kd
from kdkit_pose import DARK, CocoKeypoints, Evaluator, MaskAwareTeacher, SyntheticPeople, loader, models

parser = argparse.ArgumentParser()
parser.add_argument("--out", default="runs/custom_curriculum", help="folder of the runs")
parser.add_argument("--pictures", type=int, default=12, help="training pictures, of one person or several")
parser.add_argument("--epochs", type=int, default=2, help="of each teacher and of each stage")
options = parser.parse_args()

people, codec = SyntheticPeople(options.pictures), DARK(input_size=(96, 128), decoder="centroid")
data = CocoKeypoints(people.annotations(), people.picture, codec=codec, cache_images=True)
batches = loader(data, 8, shuffle=True, drop_last=True)
evaluate = Evaluator(loader(data, 64), data.coco_dict(), codec)  # on the training people, for brevity
truth = partial(kd.Supervise, "heatmap", kd.losses.mse, region="visible")
learn = partial(kd.Distill, output="heatmap", loss=kd.losses.mse, region="visible")
clean = kd.Truncate(0.1) >> kd.Normalize("peak")  # values below 0.1 are noise; what is left gets a peak of 1
discs = clean >> kd.Binarize(0.5)
length = kd.Epochs(options.epochs)


class Coarse(kd.Teacher):  # no network: whatever gives targets for a batch can teach
    name, reads, outputs = "coarse", ("heatmap",), ("heatmap",)

    def targets(self, batch: kd.Batch) -> dict[str, torch.Tensor]:
        return {"heatmap": F.avg_pool2d(batch["heatmap"], 5, stride=1, padding=2)}


def train(name, network, *stages):
    distiller = kd.Distiller(kd.Student(network, network.inputs, "heatmap"), kd.Curriculum(*stages))
    adam, out = partial(torch.optim.Adam, lr=1e-3), f"{options.out}/{name}"
    config = {"pictures": options.pictures}  # others are another run
    kd.Trainer(distiller, batches, optimizer=adam, evaluate=evaluate, out=out, config=config).fit()
    return network


plain = kd.Stage("plain", [truth()], length)
primary = MaskAwareTeacher("primary", train("primary", models.create("hrnet_w8_small"), plain))
senior = MaskAwareTeacher("senior", train("senior", models.create("hrnet_w8_small", mask_fusion="add"), plain))
both = kd.EnsembleTeacher("both", [primary, senior], weights=[1, 2])
student = train(
    "student",
    models.create("hrnet_w8_small"),
    kd.Stage("coarse", [learn(Coarse())], length),
    kd.Stage("primary", [truth(), learn(primary, weight=kd.Linear(0.0, 1.0), transform=clean)], length),
    # Goes on to the last stage early, when the AP has not risen for one evaluation.
    kd.Stage("both", [truth(), learn(both)], kd.Epochs(3 * options.epochs) | kd.Plateau("val/AP", patience=1)),
    kd.Stage("senior", [truth(transform=discs), learn(senior, transform=discs)], length, learning_rate=3e-4),
)
print(f"student: AP {evaluate(student)['val/AP']:.3f} with ground truth boxes, on the people it was trained on")
