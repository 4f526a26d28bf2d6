"""Overfits a network on purpose: 32 real persons, no augmentation, and its AP on these same persons.

A pipeline that crops, encodes, trains, decodes, maps back and scores without a mistake reaches an AP near 1.

    python benchmarks/overfit_real.py --annotations person_keypoints_train2017.json --images train2017
"""

import argparse
import tempfile
from pathlib import Path

import torch

from kdkit import losses
from kdkit_pose import DARK, CocoKeypoints, Evaluator, loader, models, recipes
from kdkit_pose.fit import FitSettings, fit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--model", default="hrnet_w16_small", choices=models.names())
    parser.add_argument("--persons", type=int, default=32)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    codec = DARK(input_size=(192, 256))
    everyone = CocoKeypoints(arguments.annotations, arguments.images, codec=codec)
    # The file's first persons, whoever they are; the ground truth holds them and nobody else.
    chosen = set(everyone.annotation_ids[: arguments.persons])
    content = everyone.coco_dict()
    kept = [annotation for annotation in content["annotations"] if annotation["id"] in chosen]
    pictures = {annotation["image_id"] for annotation in kept}
    truth = {
        **content,
        "annotations": kept,
        "images": [image for image in content["images"] if image["id"] in pictures],
    }
    data = CocoKeypoints(truth, arguments.images, codec=codec, cache_images=True)
    # Without the flip test: a network that never saw a mirrored picture knows nothing of one.
    evaluator = Evaluator(loader(data, 16), truth, codec, flip=False)
    batches = len(data) // arguments.batch_size
    epochs = -(-arguments.steps // batches)
    settings = FitSettings(
        batch_size=arguments.batch_size,
        learning_rate=2e-3,
        schedule="cosine",
        seed=arguments.seed,
        evaluate_every=max(epochs // 5, 1),
        export="last",
    )
    torch.manual_seed(arguments.seed)
    network = models.create(arguments.model).to(memory_format=torch.channels_last)
    curriculum = recipes.supervised(until=epochs, loss=losses.mse, learning_rate=settings.rate())
    with tempfile.TemporaryDirectory() as out:
        result = fit(network, curriculum, data, out, settings, evaluator=evaluator)
    print(f"{arguments.model}, {len(data)} real persons, {result.steps} steps at 256x192, no augmentation")
    print(f"AP on the same persons, ground truth boxes: {result.metrics['val/AP']:.3f}")


if __name__ == "__main__":
    main()
