"""The page of profiles: made from a profile at toy size, and from files."""

import re
from dataclasses import replace
from functools import partial
from unittest.mock import patch

import pytest
import torch

from benchmarks import page, profile_page, profile_step
from benchmarks.measuring import Machine
from benchmarks.profiling.breakdown import Breakdown
from benchmarks.profiling.convolutions import ConvolutionKind
from benchmarks.profiling.kinds import KINDS
from benchmarks.profiling.memory import Memory
from benchmarks.profiling.parts import PARTS
from benchmarks.profiling.peaks import Peaks
from benchmarks.profiling.recording import record_profile
from benchmarks.profiling.records import Profile, Profiles, VariantProfile, read_profiles
from benchmarks.profiling.setting import Setting
from benchmarks.profiling.variants import VARIANTS
from benchmarks.profiling.words import say

MIB = 2**20


def shares(names, **found):
    return {name: found.get(name.split()[0], 0.0) for name in names}


def variant(name, seconds, flops, parts, kinds, idle, calls):
    breakdown = Breakdown(2.0, shares(PARTS, **parts), shares(KINDS, **kinds), idle, calls)
    convolutions = (
        ConvolutionKind("3x3", True, 40, 8 * 10**9, 10**8, 0.4, 0.04, 0.0),
        ConvolutionKind("1x1", False, 20, 10**9, 10**8, 0.1, 0.01, 1.0),
        ConvolutionKind("1x1", True, 20, 10**9, 10**8, 0.0, 0.05, 0.5),
    )
    memory = Memory(10 * MIB, 30 * MIB if flops > 5e10 else 0, 20 * MIB, 10 * MIB, 50 * MIB, 60 * MIB)
    interval = seconds - 0.01, seconds + 0.01
    return VariantProfile(name, "made up", seconds, *interval, flops, breakdown, memory, convolutions)


BEFORE = variant(
    "old", 1.2, 10**11, {"teacher": 1.2, "backward": 0.5}, {"convolution": 1.0, "batch": 0.4}, 0.2, 5000
)
AFTER = variant(
    "new", 0.4, 10**11, {"teacher": 0.6, "backward": 0.9}, {"convolution": 0.3, "copies,": 0.5}, 0.6, 900
)
CACHED = variant("cached", 0.21, 5 * 10**10, {"backward": 1.0}, {"convolution": 1.0}, 0.1, 800)
PLAIN = variant("plain", 0.2, 5 * 10**10, {"backward": 1.0}, {"convolution": 1.0}, 0.1, 700)
PROFILE = Profile(
    Setting.default("cpu"),
    Peaks(5e11, 1e10, 5e11, 4e11, "float32"),
    (BEFORE, AFTER, CACHED, PLAIN),
    2,
    9,
    "host clock",
    "abc",
    "2026-01-02",
    {"torch": "2"},
)
MACHINE = Machine("Mine", "A processor", 2)
PROFILES = Profiles(MACHINE, (PROFILE,))
ON_GPU = replace(PROFILE, setting=Setting.default("cuda"))


def test_the_committed_page_is_what_the_files_of_profiles_give():
    made = profile_page.make_page(read_profiles(profile_page.RESULTS))
    assert profile_page.PAGE.read_text(encoding="utf-8") == made, "run: python benchmarks/profile_page.py"


def test_every_picture_of_the_page_is_there_and_no_other():
    shown = set(re.findall(r"\(\.\./images/([^)]+)\)", profile_page.PAGE.read_text(encoding="utf-8")))
    assert shown == {path.name for path in profile_page.IMAGES.glob("profile-*.png")}


def test_words_say_what_the_figures_do():
    text = say(PROFILE)
    for said in (
        "A step takes 1.20 s in the variant *old* and 400 ms in *new*, which is 3.00 times as fast.",
        "Without the teacher's network it is 210 ms (*cached*), which is 1.05 times what *plain* takes.",
        "The largest part of *old* is the teacher's forward, 60% of the step, and the largest kind of operator "
        "convolution, 50%.",
        "The largest part of *new* is the backward, 45% of the step, and the largest kind of operator copies, "
        "casts, 25%.",
        "The teacher takes 60% of the first and 30% of the second.",
        "The first calls 5,000 operators a step, the second 900; no operator runs in 10% and 30% of the time.",
        "The arithmetic of such a step is 100 GFLOP; the machine's measured peak in float32 is 500 GFLOP/s, of "
        "which 17% and 50% are reached. Its memory moves 10.0 GB/s, so that below 50 operations a byte memory is "
        "the bound.",
        "those of 3x3, backward take longest, 20% of the step, at 80 operations a byte. Memory bounds these: 1x1.",
        "Norms, activations, sums and copies do about one operation a byte or less, so memory bounds them; they "
        "are 25% of the step.",
        "At the peak 120 MiB are held in the first and 120 MiB in the second, 50% of which",
    ):
        assert said in text
    assert "no kernel runs in 10% and 30% of the time" in say(ON_GPU)


def test_a_page_has_picture_words_and_tables():
    text = profile_page.make_page([PROFILES])
    assert "\n## Mine\n\nA processor, 2 cores.\n" in text
    assert "\n### hrnet_w32 + mask to hrnet_w16, 128x96, batch 16, float32, CPU\n" in text
    assert f"(../images/{profile_page.picture_of(PROFILES, PROFILE)})" in text
    assert say(PROFILE) in text
    assert "| new | 400 ms | 390 to 410 | 3.00 | 900 | 30% | 50% | 5.00 x |\n" in text
    assert "- *new*, 100 GFLOP: made up.\n" in text
    assert (
        "|  | old | new | cached | plain |\n|---|---:|---:|---:|---:|\n| teacher | 60% | 30% | 0% | 0% |\n" in text
    )
    # Kinds that no variant has are left out.
    assert "| batch norm | 20% | 0% | 0% | 0% |\n| copies, casts | 0% | 25% | 0% | 0% |\n| no operator |" in text
    assert "| cached | 10.0 MiB |  | 20.0 MiB | 50.0 MiB | 60.0 MiB | 90.0 MiB |\n" in text
    assert "| 3x3, backward | 40 | 20% | 80 | arithmetic | 100 GFLOP/s | 50% |\n" in text
    assert "| 1x1 | 20 | 5% | 10 | memory | 50.0 GFLOP/s | 50% |\n" in text
    assert "| 1x1, backward | 20 | 0% | 10 | 50% memory |  |  |\n" in text
    assert "Recorded on 2026-01-02 at commit abc with torch 2; 9 rounds by host clock, 2 threads." in text


def test_a_page_says_whether_a_gpu_was_profiled():
    assert "No GPU's profile was recorded yet" in profile_page.make_page([PROFILES])
    assert "No GPU's profile" not in profile_page.make_page([Profiles(MACHINE, (PROFILE, ON_GPU))])
    assert profile_page.make_page([]).endswith("\nNothing has been profiled yet.\n")


def test_a_picture_is_drawn_the_same_each_time(tmp_path):
    both = Profiles(MACHINE, (PROFILE, ON_GPU))
    first, second = profile_page.draw_all([both], tmp_path / "a")
    (again,) = profile_page.draw_all([PROFILES], tmp_path / "b")
    assert first.name == again.name
    assert first.read_bytes() == again.read_bytes()
    assert first.read_bytes() != second.read_bytes()


def test_a_run_replaces_the_profile_of_its_setting_and_keeps_others(tmp_path):
    other = replace(PROFILE, setting=replace(PROFILE.setting, batch=8))
    for one in (PROFILE, other, replace(PROFILE, commit="new")):
        path = Profiles(MACHINE, (one,)).keep(tmp_path)
    assert path.name == "profile-mine.json"
    (found,) = read_profiles(tmp_path)
    assert {one.setting.batch: one.commit for one in found.profiles} == {16: "new", 8: "abc"}
    assert next(one for one in found.profiles if one.setting.batch == 8) == other
    assert page.read_results(tmp_path) == []  # the suites' page looks at none of them


def test_profiles_of_another_schema_are_refused(tmp_path):
    (tmp_path / "profile-a.json").write_text('{"schema": 0}', encoding="utf-8")
    with pytest.raises(ValueError, match="schema 0, expected 1"):
        read_profiles(tmp_path)


def test_options_make_settings():
    given = profile_step.parse(["--device", "cuda", "--batch", "64", "256", "--size", "128", "96", "--no-compile"])
    small, large = profile_step.settings(given)
    assert (small.batch, large.batch) == (64, 256)
    assert (small.height, small.width, small.mask, small.compile) == (128, 96, True, False)
    bare = profile_step.parse(["--device", "cpu", "--no-mask", "--teacher", "hrnet_w48"])
    (setting,) = profile_step.settings(bare)
    assert setting == replace(Setting.default("cpu"), mask=False, teacher="hrnet_w48")


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """Profile one of the variants at toy size, as the script does; return the folder of the file."""
    folder = tmp_path_factory.mktemp("results")
    chosen = [one for one in VARIANTS if one.name == "kdkit"]
    with patch.object(profile_step, "record_profile", partial(record_profile, variants=chosen)):
        profile_step.main(["--toy", "--device", "cpu", "--results", str(folder), "--machine", "A toy"])
    return folder


def test_a_toy_profile_holds_what_it_should(toy):
    (profiles,) = read_profiles(toy)
    (profile,) = profiles.profiles
    assert profiles.machine.name == "A toy"
    (one,) = profile.variants
    assert all(seconds > 0 for seconds in one.breakdown.parts.values())
    assert sum(one.breakdown.parts.values()) == pytest.approx(one.breakdown.seconds)
    # But for the picture's gradient, which the first convolution leaves out, all is counted alike.
    assert 0.95 * one.flops < sum(kind.flops for kind in one.convolutions) < one.flops
    assert one.memory.peak >= one.memory.at_backward > 0
    assert one.memory.optimizer == pytest.approx(2 * one.memory.gradients, rel=0.01)
    assert one.memory.teacher == pytest.approx(one.memory.student, rel=0.05)
    assert "### hrnet_w8_small + mask to hrnet_w8_small, 64x64, batch 2" in profile_page.make_page([profiles])


@pytest.mark.parametrize("variant", [one for one in VARIANTS if one.name != "kdkit"], ids=lambda one: one.name)
def test_a_variants_step_learns(variant, tmp_path):
    setting = Setting.default("cpu").toy()
    batches = setting.batches(1)
    running = variant.make(setting, batches, tmp_path)
    before = [value.clone() for value in running.student.parameters()]
    running.step(batches[0])
    pairs = zip(before, running.student.parameters(), strict=True)
    assert not all(torch.equal(old, new) for old, new in pairs)
    assert bool(running.weights) == variant.taught
    assert running.optimizer.state
