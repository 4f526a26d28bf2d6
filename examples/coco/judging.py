"""AP of networks, and what it should be: teachers are verified before a student learns from them."""

import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn

from kdkit import ConfigurationError
from kdkit.processes import Processes
from kdkit_pose import MaskAwareTeacher, models
from kdkit_pose.evaluation import Boxes, Metrics, read_results, write_results
from kdkit_pose.models import PoseNetwork

from .persons import Persons

# AP on val2017 at 256x192 with the flip test, as others reported it: by network, whose file, codec and boxes.
REPORTED: dict[tuple[str, str, str, Boxes], float] = {
    # HRNet's paper, arXiv 1902.09212, table 1; github.com/leoxiaobin/deep-high-resolution-net.pytorch, issue 174.
    ("hrnet_w32", "official", "msra", "detector"): 0.744,
    ("hrnet_w48", "official", "msra", "detector"): 0.751,
    ("hrnet_w32", "official", "msra", "ground truth"): 0.765,
    # mmpose's tables; github.com/open-mmlab/mmpose, issue 618.
    ("hrnet_w32", "mmpose", "msra", "detector"): 0.749,
    ("hrnet_w32", "mmpose", "dark", "detector"): 0.757,
    ("hrnet_w32", "mmpose", "udp", "detector"): 0.762,
    ("hrnet_w48", "mmpose", "msra", "detector"): 0.756,
    ("hrnet_w48", "mmpose", "msra", "ground truth"): 0.776,
}


class MaskOfOnes(nn.Module):
    """A network that reads masks, given one that says nothing: how much is it worth without them?"""

    def __init__(self, network: PoseNetwork) -> None:
        super().__init__()
        self.module, self.inputs = network, network.inputs

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        heatmap: Tensor = self.module(image, torch.ones_like(mask))
        return heatmap


class Judge:
    """Evaluates networks, each once: keypoints that were found are kept in a folder, and scored again."""

    def __init__(self, persons: Persons) -> None:
        self.persons, self.options = persons, persons.options
        self.folder = self.options.out / "keypoints"

    @property
    def sources(self) -> tuple[Boxes, ...]:
        """Where boxes come from: a detector's only if they were given."""
        return ("ground truth", "detector") if self.options.boxes is not None else ("ground truth",)

    def results(
        self, name: str, network: PoseNetwork, boxes: Boxes = "ground truth", *, masks: bool = True
    ) -> tuple[Metrics, Path]:
        """COCO's figures of a network, with the flip test, and the file of its keypoints.

        Args:
            name: how to call it.
            network: the network.
            boxes: where the persons' boxes come from.
            masks: whether one that reads masks is given the persons' own.
        """
        assert network.codec is not None
        evaluator = self.persons.evaluator(network.codec, masks="mask" in network.inputs, boxes=boxes)
        weights = MaskAwareTeacher(name, network).fingerprint()
        described = f"{weights} {evaluator.fingerprint()} {network.codec!r} {masks}"
        key = hashlib.sha256(described.encode()).hexdigest()[:12]
        path = self.folder / f"{name}-{boxes.replace(' ', '-')}-boxes-{key}.json"
        processes = Processes.current()
        if processes.from_main(path.exists()):
            return evaluator.score(read_results(path)), path
        network.to(self.options.device)
        results = evaluator.results(network if masks else MaskOfOnes(network))
        network.cpu()
        if processes.is_main:
            write_results(results, path)
        processes.from_main(None)  # until it is there
        return evaluator.score(results), path

    def ap(self, name: str, network: PoseNetwork, boxes: Boxes = "ground truth", *, masks: bool = True) -> float:
        """Its AP alone, 0 to 1."""
        return self.results(name, network, boxes, masks=masks)[0]["AP"] or 0.0

    def check_files(self) -> None:
        """Compare the teachers' files with what was reported of them, and the senior, once there, with both."""
        for role in ("primary", "senior_rgb"):
            if (path := getattr(self.options, role)) is not None:
                self.check_file(role, path)
        if Processes.current().from_main(self.options.senior_file.exists()):
            self.check_senior()

    def check_file(self, role: str, path: Path) -> None:
        """Compare a file's AP with what was reported of it.

        Raises:
            ConfigurationError: it is lower.
        """
        network = self.persons.load(path)
        for boxes in self.sources:
            ap, expected = self.ap(role, network, boxes), self.reported(role, path, boxes)
            known = "no figure to compare with is known" if expected is None else f"reported: {expected:.3f}"
            print(f"{role}: {network.name}, AP {ap:.3f} with {boxes} boxes; {known}", flush=True)
            if expected is not None and ap < expected - self.options.tolerance:
                self.doubt(
                    f"{role}: '{path}' has AP {ap:.3f} with {boxes} boxes, and {expected:.3f} was reported: is it "
                    f"the right file, and its codec {network.codec!r}?"
                )

    def reported(self, role: str, path: Path, boxes: Boxes) -> float | None:
        """What was reported of a file: as options say, or else the table above; None where nothing is known."""
        if boxes == "ground truth" and (given := getattr(self.options, f"{role}_ap")) is not None:
            return float(given)
        file, codec = models.recognise(path), self.persons.codec
        if codec.input_size != (192, 256) or "safetensors" in file.format:
            return None
        origin = "mmpose" if file.format.startswith("mmpose") else "official"
        return REPORTED.get((file.model or "", origin, codec.name, boxes))

    def check_senior(self) -> None:
        """Require a senior that is better than the primary, and better with the persons' masks than without.

        Raises:
            ConfigurationError: it is not, or reads no masks.
        """
        senior_file = self.options.senior_file
        senior, primary = self.persons.load(senior_file), self.persons.load(self.options.primary)
        if "mask" not in senior.inputs:
            raise ConfigurationError(f"'{senior_file}' reads no masks: give it as --senior-rgb, to learn it")
        ap, weaker = self.ap("senior", senior), self.ap("primary", primary)
        without = self.ap("senior-mask-of-ones", senior, masks=False)
        found = f"AP {ap:.3f} with masks, {without:.3f} with masks of ones"
        print(f"senior: {senior.name}, {found}; primary: {weaker:.3f}; ground truth boxes", flush=True)
        if ap <= without:
            self.doubt(f"the senior does not use its mask: AP {ap:.3f} with it, {without:.3f} without")
        if ap <= weaker:
            self.doubt(f"the senior, AP {ap:.3f}, is not better than the primary, {weaker:.3f}")

    def doubt(self, message: str) -> None:
        """Stop, unless weak teachers are allowed."""
        if not self.options.allow_weak_teachers:
            raise ConfigurationError(f"{message} (--allow-weak-teachers goes on all the same)")
        print(f"warning: {message}", flush=True)
