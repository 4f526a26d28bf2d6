"""Hours, memory and disk of the COCO experiment: the arithmetic, and that the page shows what it gives."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks import coco_cost
from benchmarks.coco_cost import Memory, Speed
from benchmarks.measuring import Figure, Machine, Record, Results
from benchmarks.suites import loader_bench
from kdkit_pose import SyntheticPeople, models
from kdkit_pose.codecs import MSRA
from kdkit_pose.data import CocoKeypoints, pack

CPU, GPU = Machine("Mine", "A processor", 2, None), Machine("Yours", "A processor", 8, "A GPU")
STEP = Record("overhead", "hrnet_w16, 128x96, batch 16", (), "abc", "2026-01-02", {"Trainer": 0.5, "by hand": 0.4})
DISTILL = Record(
    "distill_gpu",
    "cached, HRNet-W48 + mask to HRNet-W16, 256x192, batch 256",
    (),
    "abc",
    "2026-01-02",
    {"cached": 0.1, "plain training": 0.064, "online": 0.256},
)


def test_hours_are_persons_by_epochs_by_persons_a_second():
    assert Speed("a step", 100.0).hours(150_000, 210) == pytest.approx(150_000 * 210 / 100 / 3600) == 87.5


def test_only_steps_of_the_trainer_are_speeds_and_the_batch_is_in_the_record_s_name():
    speeds = list(coco_cost.training_speeds(Results(CPU, (STEP, replace(STEP, suite="teacher")))))
    assert speeds == [Speed("hrnet_w16, 128x96, batch 16: Trainer", 32.0)]
    nothing = replace(STEP, name="an empty network")
    assert not list(coco_cost.training_speeds(Results(CPU, (nothing,))))


def test_a_gpu_s_results_give_the_experiment_and_a_cpu_s_say_that_there_is_none():
    on_gpu = "\n".join(coco_cost.time_lines([Results(GPU, (DISTILL,))], 150_000))
    # 4,000, 2,560 and 1,000 persons a second.
    assert "plain 2.2 h, from caches 3.4 h" in on_gpu
    assert "distill 8.8 h at most" in on_gpu
    assert "  1000.0        0.04           9  cached, HRNet-W48" in on_gpu
    assert "any on a GPU: not measured" not in on_gpu
    on_cpu = "\n".join(coco_cost.time_lines([Results(CPU, (STEP,))], 150_000))
    assert "any on a GPU: not measured" in on_cpu
    assert "plain" not in on_cpu


def test_samples_are_counted_as_the_loader_s_suite_reads_them():
    assert {len(pairs) for pairs in loader_bench.batches(10, toy=False)} == {coco_cost.LOADED}
    record = replace(STEP, suite="loader", name="packed", candidates={"packed, with masks": 0.016, "packed": 0.01})
    assert list(coco_cost.loading_speeds(Results(CPU, (record,)))) == [Speed("packed, with masks", 2000.0)]


def test_what_the_backward_pass_needs_is_counted_once_and_without_parameters():
    layers = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1, bias=False), nn.Sigmoid(), nn.Conv2d(5, 2, 1))
    # The convolution keeps its input, the sigmoid its output, which is the next convolution's input as well.
    assert coco_cost.saved_bytes(layers, [torch.rand(1, 3, 8, 8)]) == 4 * 64 * (3 + 5)


def test_memory_grows_with_the_batch_and_has_the_teacher_s_weights():
    small = Memory.of("hrnet_w8_small", "concat")
    network = models.create("hrnet_w8_small", mask_fusion="concat")
    assert small.weights == 4 * sum(value.numel() for value in network.state_dict().values())
    assert small.training(3) - small.training(2) == small.saved > 0
    assert small.training(0) - small.weights == 3 * 4 * models.count_parameters(network)
    assert small.training(2, small) - small.training(2) == small.weights


def test_persons_and_the_pack_are_counted_from_annotations(tmp_path: Path):
    people, record = SyntheticPeople(3, seed=0, size=(320, 240)), "a record of BitWindow(size=11) for [17, 64, 48]"
    annotations = tmp_path / "people.json"
    annotations.write_text(json.dumps(people.annotations()))
    data = CocoKeypoints(annotations, people.picture, codec=MSRA((192, 256)))
    folder = pack(data, tmp_path / "packed")
    packed = sum(path.stat().st_size for path in folder.iterdir() if path.name != "header.json")
    assert coco_cost.count(annotations) == (len(data), packed)
    size = replace(STEP, suite="cache", name=record, figures=(Figure("kdkit", None, "size", "bytes", 296),))
    lines = "\n".join(coco_cost.disk_lines([Results(CPU, (size,))], 150_000, 2_500_000_000))
    assert "packed persons: 2.5 GB" in lines
    # 150,000 * 105 * 296 bytes.
    assert "binarized: 4.7 GB" in lines


def test_the_page_shows_what_the_committed_results_give():
    page = coco_cost.PAGE.read_text(encoding="utf-8")
    shown = page.split(coco_cost.BEGIN)[1].split(coco_cost.END)[0].splitlines()
    results = coco_cost.read_results(coco_cost.ROOT / "benchmarks" / "results")
    expected = [*coco_cost.time_lines(results, 150_000), *coco_cost.disk_lines(results, 150_000, None)]
    expected.append(coco_cost.network_line("HRNet-W16", Memory.of("hrnet_w16")))
    missing = [line for line in expected if line not in shown]
    assert not missing, "run: python benchmarks/coco_cost.py --page"
    assert coco_cost.on_page(page, "\n".join(shown) + "\n") == page
