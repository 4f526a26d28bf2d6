"""ODKD on COCO: from checkpoints of HRNet-W32 and W48 to an evaluated HRNet-W16, and to one without teachers.

    python examples/coco_odkd.py --data coco --primary pose_hrnet_w32_256x192.pth \\
        --senior-rgb pose_hrnet_w48_256x192.pth --packed packed/train2017 --workers 8 --performance max

Five steps, in this order; name some to take these alone. What is done is found again, what was stopped goes on.

    check      do the teachers' files have the AP that was reported of them, by this codec and on these pictures?
    senior     W48 with a mask channel of zeros, trained on with masks; is it better, and by its masks?
    plain      the student without teachers, for as many epochs as with them
    distill    the student with both teachers, one after the other
    evaluate   COCO's ten figures of both students, with ground-truth and detector boxes, and their difference

docs/how-to/coco.md says where to put the files and what it takes. Nobody has run it on the whole of COCO yet.
"""

import sys

import torch
from coco.comparing import compare_students
from coco.judging import Judge
from coco.options import STEPS, parse_options
from coco.persons import Persons
from coco.training import make_teacher, train

from kdkit import KdkitError, losses
from kdkit_pose import models, recipes


def run() -> None:
    options = parse_options(__doc__ or "")
    persons = Persons(options)
    judge = Judge(persons)
    learned_by = losses.bce if options.loss == "bce" else losses.mse

    def senior() -> None:
        if options.senior is None:
            rgb = models.load(options.senior_rgb)
            network = models.create(rgb.name, mask_fusion=options.mask_fusion, activation=rgb.activation)
            models.load_checkpoint(network, options.senior_rgb)  # what reads the mask stays zero
            loss = losses.bce if rgb.activation == "sigmoid" else losses.mse  # as it learned before
            plan = recipes.supervised(until=options.senior_epochs, loss=loss)
            train(persons, "senior", network, plan, persons.train(masks=True), options.senior_rate)
        judge.check_senior()

    def plain() -> None:
        student = new_student()
        plan = recipes.supervised(until=sum(options.epochs), loss=learned_by, outputs=student.heatmap_outputs)
        train(persons, "plain", student, plan, persons.train(masks=False), options.learning_rate)

    def distill() -> None:
        judge.check_senior()
        primary = make_teacher(persons, "primary", options.primary)
        senior = make_teacher(persons, "senior", options.senior_file)
        student, (first, second) = new_student(), options.epochs
        chosen = {"loss": learned_by, "senior_binarized": options.binarized, "outputs": student.heatmap_outputs}
        plan = recipes.odkd(primary, senior, primary_until=first, senior_until=second, **chosen)
        print(plan, flush=True)
        cached = options.canonical_caches  # then masks were seen when the cache was made
        data = persons.train(masks=not cached, canonical=cached)
        train(persons, "distill", student, plan, data, options.learning_rate)

    def new_student() -> models.PoseNetwork:
        torch.manual_seed(options.seed)  # both begin from the same weights
        return models.create(options.student, activation="sigmoid" if options.loss == "bce" else "none")

    steps = (judge.check_files, senior, plain, distill, lambda: compare_students(judge))
    for name, step in zip(STEPS, steps, strict=True):
        if name in options.steps:
            print(f"== {name}", flush=True)
            step()


if __name__ == "__main__":
    try:
        run()
    except KdkitError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
