"""Depth from one picture, with kdkit: a light student learns from two teachers that say how far to trust them.

    python examples/depth/distill.py     # some minutes on a CPU; started again, it goes on where it was

What is depth's own is in the files beside this one; what is below is the same for any task.
"""

import argparse
from functools import partial
from pathlib import Path

import torch
from matplotlib.figure import Figure
from measures import depth_metrics, evaluate, laplace, silog
from network import DepthNetwork
from scenes import Scenes
from torch.utils.data import DataLoader, default_collate

import kdkit as kd
from kdkit.sampling import ViewSampler

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--out", type=Path, default=Path("runs/depth"), help="folder of the runs and the picture")
parser.add_argument("--scenes", type=int, default=400, help="to train on; 100 others are held out")
parser.add_argument("--epochs", type=int, default=20, help="of every network, at least 2")
parser.add_argument("--seed", type=int, default=0, help="of scenes, their order and the initial weights")
options = parser.parse_args()
if options.scenes < 1 or options.epochs < 2:
    parser.error("--scenes must be at least 1 and --epochs at least 2")

# More threads would mostly wait for each other; and sums, and so the table, depend on their number.
torch.set_num_threads(1)

# 1. Data: scenes with flawed depth to learn from, and others with exact depth to judge by.
train = Scenes(range(options.scenes), seed=options.seed, flip=True)
held_out = Scenes(range(10**6, 10**6 + 100), seed=options.seed)
truth = default_collate([held_out[index, 0] for index in range(len(held_out))])
rows, privileged = [], set()


# 2. How every network is trained: it is made and sees the scenes in an order that depend on the seed alone.
def train_network(name, network, inputs, outputs, *stages):
    sampler = ViewSampler(len(train), seed=options.seed)  # a scene's view is the epoch
    distiller = kd.Distiller(kd.Student(network, inputs, outputs), kd.Curriculum(*stages))
    result = kd.Trainer(
        distiller,
        DataLoader(train, 8, sampler=sampler),
        optimizer=partial(torch.optim.AdamW, lr=4e-3),
        evaluate=partial(evaluate, batch=truth, inputs=distiller.student.reads),
        evaluate_every=options.epochs,
        export="last",  # to choose an epoch by the scenes it is judged on would flatter it
        config={"seed": options.seed, "scenes": options.scenes},
        out=options.out / name,
        cpu=True,  # an accelerator waits longer for so small networks than it computes
    ).fit()
    rows.append((name, sum(value.numel() for value in network.parameters()), result.metrics))
    privileged.update(distiller.privileged_fields)
    return network


def stage(name, objectives, epochs=options.epochs):
    return kd.Stage(name, objectives, kd.Epochs(epochs), learning_rate=kd.Cosine(4e-3, 1e-4, over="run"))


# 3. Two teachers. The senior one also sees exact depth at a pixel in 50, which the student never does.
labels = partial(kd.Supervise, target="log_depth", region="valid", reduction="weighted_mean")
measured = [
    labels("log_depth", kd.losses.l1, name="l1"),
    labels("log_depth", silog, name="silog", fields=("valid",)),
]
likelihood = labels("laplace", laplace, name="likelihood")  # teaches it to know its error


def teacher(name, *inputs):
    torch.manual_seed(options.seed)
    channels = {"image": 3, "points": 2}
    network = DepthNetwork(8, sum(channels[one] for one in inputs), confident=True)
    outputs = ("log_depth", "confidence", "laplace")
    train_network(name, network, inputs, outputs, stage("measured", [*measured, likelihood]))
    return kd.ModuleTeacher(name, network, inputs, outputs)


junior, senior = teacher("junior", "image"), teacher("senior", "image", "points")


# 4. The student: from measured depth alone, and from that and the teachers, as far as each trusts itself.
def imitate(one):
    return kd.Distill(one, "log_depth", kd.losses.l1, region=kd.TeacherRegion(one, "confidence"))


def student(name, *stages):
    torch.manual_seed(options.seed)
    return train_network(name, DepthNetwork(4), "image", "log_depth", *stages)


half = options.epochs // 2
plain = student("plain", stage("measured", measured))
distilled = student(
    "distilled",
    stage("junior", [*measured, imitate(junior)], half),
    stage("senior", [*measured, imitate(senior)], options.epochs - half),
)

# 5. What came out, beside the floor: at each pixel the median of what was measured there.
seen = torch.stack([torch.where(one["valid"] > 0, one["log_depth"], torch.nan) for one in train.samples])
typical = torch.where(seen.isfinite().any(0), seen.nanmedian(0).values, seen.nanmedian()).exp()
rows.insert(0, ("floor", 0, depth_metrics(typical.expand_as(truth["depth"]), truth["depth"])))
print(f"{'':10} {'parameters':>10} {'AbsRel':>7} {'RMSE, m':>8} {'delta < 1.25':>13}")
for name, size, found in rows:
    print(f"{name:10} {size:10,} {found['AbsRel']:7.3f} {found['RMSE']:8.2f} {found['delta']:13.3f}")

few = {name: value[:6] for name, value in truth.items()}
with torch.no_grad():
    taught = senior.targets(few)
    guessed, learned = (network.eval()(few["image"]) for network in (plain, distilled))
columns = {
    "image": few["image"].permute(0, 2, 3, 1),
    "measured": torch.where(few["valid"] > 0, few["log_depth"], torch.nan),
    "exact": few["depth"].log(),
    "senior teacher": taught["log_depth"],
    "its confidence": taught["confidence"],
    "plain student": guessed,
    "distilled student": learned,
}
figure = Figure(figsize=(14, 9.4), layout="constrained")
axes = figure.subplots(len(few["image"]), len(columns))
for column, (title, pictures) in zip(axes.T, columns.items(), strict=True):
    column[0].set_title(title)
    for axis, picture, depth in zip(column, pictures, few["depth"].log(), strict=True):
        look = {"cmap": "gray", "vmin": 0, "vmax": 1}
        if "confidence" not in title:
            look = {"cmap": "turbo_r", "vmin": float(depth.min()), "vmax": float(depth.max())}
        axis.imshow(picture.squeeze(0).numpy(), **look)
        axis.set_axis_off()
figure.savefig(options.out / "depth.png", dpi=80)
print(f"Only teachers see: {', '.join(sorted(privileged))}. Pictures: {options.out / 'depth.png'}")
