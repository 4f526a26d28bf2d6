"""A curriculum of one's own in a loop of one's own: three teachers and an ensemble, four stages, one minute.

python examples/custom_curriculum.py     # read it for how it is composed, not for its AP
"""

import argparse

import torch
import torch.nn.functional as F

import kdkit as kd
from kdkit_pose import DARK, CocoKeypoints, Evaluator, MaskAwareTeacher, SyntheticPeople, loader, models

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--out", default="runs/custom_curriculum/student.safetensors", help="the student's file")
parser.add_argument("--pictures", type=int, default=12, help="training pictures, of one person or several")
parser.add_argument("--epochs", type=int, default=2, help="of each teacher and of each stage")
options = parser.parse_args()
people, codec = SyntheticPeople(options.pictures), DARK(input_size=(96, 128), decoder="centroid")
data = CocoKeypoints(people.annotations(), people.picture, codec=codec, cache_images=True)
batches = loader(data, 8, shuffle=True, drop_last=True)
evaluate = Evaluator(loader(data, 64), data.coco_dict(), codec)  # for brevity on the training people


def run(network, curriculum):
    """The usual loop; the curriculum says what the loss is and when it is over."""
    student = kd.Student(network, network.inputs, "heatmap")
    distiller = kd.Distiller(student, curriculum)
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-3)
    while not curriculum.finished:
        batches.sampler.set_epoch(curriculum.epochs)
        stage = curriculum.stage.name
        student.train()
        for batch in batches:
            step = distiller(batch)  # runs the active stage's teachers only
            step.total.backward()
            optimizer.step()
            optimizer.zero_grad()
            distiller.advance()  # counts a step
        metrics = evaluate(network)
        distiller.end_epoch(metrics)  # counts an epoch, and goes to the next stage when it is time
        print(f"{stage}: loss {step.total.item():.5f}, AP {metrics['val/AP']:.3f} with ground truth boxes")
    return network


class Coarse(kd.Teacher):  # no network: whatever gives targets for a batch can teach
    name, reads, outputs = "coarse", ("heatmap",), ("heatmap",)

    def targets(self, batch):
        return {"heatmap": F.avg_pool2d(batch["heatmap"], 5, stride=1, padding=2)}


