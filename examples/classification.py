"""Distilling a classifier: two of timm's networks on drawn shapes; the same student with and without the teacher.

python examples/classification.py               # --decoupled weighs the right class and the others apart
"""

import argparse
from functools import partial

import cv2
import numpy as np
import timm
import torch
from torch.utils.data import DataLoader, Dataset

import kdkit as kd
from kdkit.sampling import ViewSampler, sample_generator

parser = argparse.ArgumentParser()
parser.add_argument("--out", default="runs/classification", help="folder of the runs")
parser.add_argument("--pictures", type=int, default=800, help="training pictures; as many others are held out")
parser.add_argument("--epochs", type=int, default=12, help="of the teacher and of each student")
parser.add_argument("--decoupled", action="store_true", help="distil by decoupled_kl instead of channel_kl")
parser.add_argument("--seed", type=int, default=0, help="of pictures, order and weights")
options = parser.parse_args()
SIZE, CLASSES = 32, [(corners, star) for corners in (3, 4, 6) for star in (False, True)]


class Shapes(Dataset):  # a light polygon or star on a darker background, behind lines and noise
    def __len__(self) -> int:
        return options.pictures

    def __getitem__(self, key: tuple[int, int]) -> dict[str, torch.Tensor]:
        draw, label = sample_generator(options.seed, *key), key[0] % len(CLASSES)
        picture = cv2.resize(draw.uniform(0, 110, (4, 4, 3)), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
        (corners, star), odd = CLASSES[label], np.arange(2 * CLASSES[label][0]) % 2
        angle = draw.uniform(0, 2 * np.pi) + np.arange(2 * corners) * np.pi / corners
        radius = draw.uniform(8, 13) * np.where(odd, 0.45 if star else np.cos(np.pi / corners), 1)
        outline = draw.uniform(13, SIZE - 13, 2) + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
        cv2.fillPoly(picture, [outline.round().astype(np.int32)], draw.uniform(150, 255, 3))
        for start, end in draw.integers(0, SIZE, (3, 2, 2)).tolist():
            cv2.line(picture, start, end, draw.uniform(0, 255, 3))
        image = ((picture + draw.normal(0, 15, picture.shape) - 128) / 64).astype("float32")
        return {"image": torch.from_numpy(image).permute(2, 0, 1), "label": torch.tensor(label)}


def accuracy(network: torch.nn.Module) -> dict[str, float]:
    with torch.no_grad():
        right = [network(batch["image"]).argmax(1) == batch["label"] for batch in held_out]
    return {"val/accuracy": float(torch.cat(right).double().mean())}


def train(name: str, model: str, *objectives: kd.Objective) -> torch.nn.Module:
    torch.manual_seed(options.seed)  # both students start from the same weights and see the same pictures
    network = timm.create_model(model, pretrained=False, num_classes=len(CLASSES))
    stage = kd.Stage(name, objectives, kd.Epochs(options.epochs), learning_rate=kd.Cosine(2e-3, 0.0))
    distiller = kd.Distiller(kd.Student(network, "image", "logits"), kd.Curriculum(stage))
    out, adam = f"{options.out}/{name}", torch.optim.AdamW
    config = {"seed": options.seed, "pictures": options.pictures}  # another seed is another run
    trainer = kd.Trainer(distiller, batches, optimizer=adam, evaluate=accuracy, out=out, cpu=True, config=config)
    result = trainer.fit()
    print(f"{name}: {model}, accuracy {result.metrics['val/accuracy']:.3f} on pictures held out")
    return network


batches = DataLoader(Shapes(), 32, sampler=ViewSampler(options.pictures, seed=options.seed))
# Views from 1000 on are drawn in no epoch.
held_out = list(DataLoader(Shapes(), 32, sampler=[(index, 1000) for index in range(options.pictures)]))
truth = kd.Supervise("logits", kd.losses.cross_entropy, target="label")
teacher = kd.ModuleTeacher("teacher", train("teacher", "resnet10t", truth), inputs="image", outputs="logits")
train("plain", "test_efficientnet", truth)
soft = kd.Distill(teacher, "logits", partial(kd.losses.channel_kl, temperature=4.0))
if options.decoupled:
    soft = kd.Distill(teacher, "logits", kd.losses.decoupled_kl, fields=("label",))
train("distilled", "test_efficientnet", truth, soft)
