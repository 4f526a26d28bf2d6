"""Person segmentation with kdkit: a small student learns from two teachers, one after the other.

    python examples/segmentation/distill.py
    python examples/segmentation/distill.py --annotations instances_val2017.json --images val2017 --out runs/coco

What is segmentation's own is in the files beside this one; what is below is the same for any task.
"""

import argparse
import json
from functools import partial
from pathlib import Path

import segmentation_models_pytorch as smp
import torch
from mean_iou import Evaluate
from person_masks import PersonMasks
from strips import draw_strips
from torch.utils.data import DataLoader

import kdkit as kd
from kdkit import losses
from kdkit.sampling import ViewSampler
from kdkit_pose import SyntheticPeople
from kdkit_pose.data import PictureFolder

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--out", type=Path, default=Path("runs/segmentation"), help="folder of the runs and pictures")
parser.add_argument("--annotations", type=Path, help="COCO-format file; drawn people without it")
parser.add_argument("--images", type=Path, help="folder of its pictures")
parser.add_argument("--pictures", type=int, default=400, help="to train on; a quarter as many are held out")
parser.add_argument("--epochs", type=int, default=4, help="of each stage; every network trains twice as many")
parser.add_argument("--seed", type=int, default=0, help="of drawn pictures, their variations, order and weights")
options = parser.parse_args()
if (options.annotations is None) != (options.images is None):
    parser.error("--annotations and --images go together")
SIZE, RATE, BATCH = (128, 96), 2e-3, 8

# 1. Data: pictures to train on, each epoch another view of them, and others held out.


def drawn(count, seed, varied=False):
    people = SyntheticPeople(count, seed=seed, size=(160, 120), crowded=0.3)
    coco = people.annotations()
    pictures = {entry["id"]: people.picture(entry) for entry in coco["images"]}  # drawn once, not in each epoch
    return PersonMasks(coco, lambda entry: pictures[entry["id"]], SIZE, seed, varied)


def of_file(entries, varied=False):
    return PersonMasks({**coco, "images": entries}, PictureFolder(options.images), SIZE, options.seed, varied)


if options.annotations:
    coco = json.loads(options.annotations.read_text())
    entries = coco["images"][: options.pictures + options.pictures // 4]
    train = of_file([entry for place, entry in enumerate(entries) if place % 5], varied=True)
    held_out = of_file(entries[::5])
else:
    train = drawn(options.pictures, 2 * options.seed, varied=True)
    held_out = drawn(max(options.pictures // 4, 2), 2 * options.seed + 1)


def loader(data, size, shuffle=False):
    sampler = ViewSampler(len(data), seed=options.seed, shuffle=shuffle)  # its view of a picture is the epoch
    return DataLoader(data, size, sampler=sampler, drop_last=shuffle)


batches = loader(train, BATCH, shuffle=True)
evaluate = Evaluate(loader(held_out, 32))

# 2. Networks: a Unet in three sizes. The README says how to begin with pretrained encoders.


def unet(encoder, *decoder_channels):
    torch.manual_seed(options.seed)  # both students begin with the same weights
    settings = {"encoder_weights": None, "classes": 2, "decoder_channels": decoder_channels}
    return smp.Unet(encoder, **settings).to(memory_format=torch.channels_last)  # which is faster on a CPU


def small():
    return unet("tu-mobilenetv3_small_050", 32, 24, 16, 12, 8)


rows = [("nobody anywhere", evaluate.floor(), 0, 0.0)]


def fit(name, student, *stages):
    """Train a student through stages, or go on where an earlier call was stopped; return its network."""
    out = options.out / name.replace(" ", "-")
    result = kd.Trainer(
        kd.Distiller(student, kd.Curriculum(*stages)),
        batches,
        optimizer=partial(torch.optim.AdamW, lr=RATE),
        evaluate=evaluate,
        evaluate_every=2 * options.epochs,
        export="last",  # every network is judged at its end: to choose its best epoch would favour some by luck
        config={key: str(value) for key, value in vars(options).items() if key != "out"},
        out=out,
    ).fit()
    seconds = json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])["seconds"]
    size = sum(value.numel() for value in student.module.parameters())
    rows.append((name, result.metrics, size, seconds))
    return student.module.cpu()  # from wherever it was trained to where the next student is made


# 3. What is learned: labels where they are known; and from a teacher, everywhere, each pixel's classes (KL) and
#    where each class is, and each channel of the decoder's feature (CWD, arXiv 2011.13256).
length, both = kd.Epochs(options.epochs), kd.Epochs(2 * options.epochs)
rate = kd.Cosine(RATE, RATE / 100, over="run")
truth = kd.Supervise("logits", losses.cross_entropy, target="label", region="known", reduction="weighted_mean")
plain = kd.Stage("plain", [truth], until=both, learning_rate=rate)
classes, places = partial(losses.channel_kl, temperature=2.0), partial(losses.spatial_kl, temperature=4.0)
as_student = partial(kd.Student, inputs="image", outputs="logits")
as_teacher = partial(kd.ModuleTeacher, inputs="image", outputs="logits", features={"decoder": "decoder"})


def learn_from(teacher):
    objectives = [
        truth,
        kd.Distill(teacher, "logits", classes, name=f"{teacher.name}/classes"),
        kd.Distill(teacher, "logits", places, name=f"{teacher.name}/places", weight=3.0),
        kd.Distill(teacher, f"decoder_{teacher.name}", places, name=f"{teacher.name}/decoder", target="decoder"),
    ]
    return kd.Stage(teacher.name, objectives, until=length, learning_rate=rate)


# 4. Two teachers and two students, all with the same pictures in the same order for as many epochs.
first = fit("first teacher", as_student(unet("tu-mobilenetv3_small_100", 64, 48, 32, 16, 12)), plain)
second = fit("second teacher", as_student(unet("tu-mobilenetv3_large_100", 128, 64, 32, 24, 16)), plain)
alone = fit("plain student", as_student(small()), plain)

teachers = [as_teacher("first", first), as_teacher("second", second)]
student = as_student(small(), features={"decoder": "decoder"})
for teacher in teachers:  # whose decoders have other widths
    student.adapt(f"decoder_{teacher.name}", "decoder", teacher, next(iter(batches)))
distilled = fit("distilled student", student, *map(learn_from, teachers))

print(f"\n{len(train)} pictures, {len(held_out)} held out, {both.count} epochs each, seed {options.seed}")
print(f"{'':18} {'mean IoU':>8} {'person IoU':>10} {'parameters':>10} {'seconds':>7}")
for name, metrics, parameters, seconds in rows:
    mean, person = metrics["val/mIoU"], metrics["val/person_IoU"]
    print(f"{name:18} {mean:8.3f} {person:10.3f} {parameters:10,} {seconds:7.0f}")
shown = {"second teacher": second, "plain student": alone, "distilled student": distilled}
draw_strips(options.out / "held_out.png", held_out, shown)
print(f"written: {options.out}/held_out.png and {options.out}/distilled-student/student.safetensors")
