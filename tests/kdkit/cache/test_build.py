import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from kdkit import BatchError, CacheError, ConfigurationError, EnsembleTeacher, TargetCache, Teacher
from kdkit.cache import BitWindow, Dense, TopK, cache_fingerprint
from kdkit.cache.publish import claim

from .builds import SAMPLES, SHARD, VIEWS, Views, bits, contents, teacher
from .builds import build as make

RECORDS = SAMPLES * VIEWS
PROGRAM = Path(__file__).with_name("builds.py")


def build_in_processes(folder: Path, *arguments: str, program: tuple[str, ...] = (str(PROGRAM),)) -> list[str]:
    """Run the program and return what it prints."""
    command = [sys.executable, *program, str(folder), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    return [*run.stdout.splitlines(), run.stderr]


def test_reports_what_it_made(tmp_path):
    steps = []
    report = make(tmp_path / "new", progress=lambda done, total: steps.append((done, total)))
    assert (report.built, report.found) == (RECORDS, 0)
    assert steps[0] == (3, RECORDS)
    assert steps[-1] == (RECORDS, RECORDS)
    assert str(report).startswith(f"{tmp_path / 'new'}: 36 records made, 0 there already\nheatmap: maps not")
    again = make(tmp_path / "new", shard_records=10)  # as it was begun, so it goes on
    assert (again.built, again.found) == (0, RECORDS)
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert names == {"header.json", "ids.npy", *(f"shard-{shard:05d}.bin" for shard in range(6))}


def test_contents_depend_on_nothing_but_what_they_are_of(tmp_path):
    make(tmp_path / "one")
    large = teacher()
    state = torch.get_rng_state()
    make(tmp_path / "other", teacher=large, workers=2)
    assert torch.equal(torch.get_rng_state(), state)
    assert contents(tmp_path / "one") == contents(tmp_path / "other")
    # Small numbers may be computed otherwise in other batches, but each is of the right sample.
    make(tmp_path / "third", batch_size=5, codecs={"heatmap": Dense("float32")})
    one, third = TargetCache.open(tmp_path / "one"), TargetCache.open(tmp_path / "third")
    ids, views = one.ids.repeat(VIEWS), torch.arange(VIEWS).repeat_interleave(SAMPLES)
    torch.testing.assert_close(one.read(ids, views), third.read(ids, views), rtol=2**-11, atol=1e-6)


def test_a_build_that_is_killed_anywhere_goes_on(tmp_path):
    make(tmp_path / "straight")
    folder = tmp_path / "killed"
    # Renames: ids, header, then one a shard.
    deaths = ["before-rename=2", "after-rename=2", "at-sample=12", "after-rename=1", "before-rename=2"]
    *printed, _ = build_in_processes(folder, "after-another", *deaths)
    assert printed == ["-9 0", "-9 0", "-9 1", "-9 2", "-9 3"]
    assert list(folder.glob(".shard-*.bin.*"))  # what it had written of a shard
    assert list(folder.glob(".shard-*.lock"))
    with pytest.raises(CacheError, match="not finished: 3 of 6 shards"):
        TargetCache.open(folder)
    report = make(folder)
    assert (report.built, report.found) == (RECORDS - 3 * SHARD, 3 * SHARD)
    assert contents(folder) == contents(tmp_path / "straight")


def test_two_processes_that_build_at_once_give_the_same(tmp_path):
    make(tmp_path / "alone")
    assert build_in_processes(tmp_path / "together", "at-once", "none", "none", "none") == ["0", "0", "0", ""]
    assert contents(tmp_path / "together") == contents(tmp_path / "alone")


class Slow(Views):
    """Waits in its first shard until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.began, self.may_go_on = threading.Event(), threading.Event()

    def __getitem__(self, key):
        if self.reads > 6:  # some are read before the first shard
            self.began.set()
            assert self.may_go_on.wait(60)
        return super().__getitem__(key)


def test_a_builder_takes_other_shards_and_waits_for_the_one_that_is_being_made(tmp_path):
    slow, reports = Slow(), []
    other = threading.Thread(target=lambda: reports.append(make(tmp_path / "both", slow)))
    other.start()
    assert slow.began.wait(60)

    def release(done: int, total: int) -> None:
        if done == total - SHARD:
            slow.may_go_on.set()

    report = make(tmp_path / "both", progress=release)
    other.join()
    assert (report.built, report.found) == (RECORDS - SHARD, SHARD)
    assert (reports[0].built, reports[0].found) == (SHARD, RECORDS - SHARD)
    make(tmp_path / "alone")
    assert contents(tmp_path / "both") == contents(tmp_path / "alone")


def test_a_claim_is_of_the_lock_file_that_there_is(tmp_path, monkeypatch):
    """One who claimed the file before lets go, and removes the lock file, just when it was opened to be locked."""
    path, lock, flock = tmp_path / "file", tmp_path / ".file.lock", fcntl.flock
    found = []

    def late(handle: int, operation: int) -> None:
        if not found:
            lock.unlink()
        found.append(handle)
        flock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with claim(path, wait=False) as claimed, claim(path, wait=False) as claimed_again:
        assert claimed
        assert not claimed_again
        assert lock.exists()
    assert not lock.exists()


def test_what_is_made_can_be_watched_and_more_is_recorded(tmp_path):
    seen = []
    watch = {"observe": lambda targets: seen.append(targets["heatmap"]), "recorded": {"teacher_file": "large.pt"}}
    make(tmp_path, **bits(), **watch)
    assert sum(len(one) for one in seen) == 36
    assert set(torch.cat(seen).unique().tolist()) == {0.0, 1.0}  # as they are stored
    assert TargetCache.open(tmp_path).header.recorded["teacher_file"] == "large.pt"
    # Nothing is compared with it.
    batches = len(seen)
    assert make(tmp_path, **bits(), **watch, batch_size=5).found == 36
    assert make(tmp_path, **bits()).found == 36
    assert len(seen) == batches


def test_parts_make_the_whole(tmp_path):
    make(tmp_path / "alone")
    reports = [make(tmp_path / "parts", part=(part, 3)) for part in (2, 0, 1)]
    assert [report.built for report in reports] == [SHARD + 1, 2 * SHARD, 2 * SHARD]
    assert contents(tmp_path / "parts") == contents(tmp_path / "alone")


def test_other_codecs_views_and_ids_are_refused_and_nothing_is_touched(folder):
    before = contents(folder)
    for change, named in (
        ({"codecs": {"heatmap": Dense("uint8")}}, r"output 'heatmap': there .*float16.*, now .*uint8"),
        ({"views": 2}, "views: there '3', now '2'"),
        ({"fingerprint": {"data": "other"}}, "data: there '12 pictures of noise', now 'other'"),
        ({"fingerprint": {"extra": "1"}}, "extra: there none, now '1'"),
    ):
        with pytest.raises(CacheError, match=named):
            make(folder, **change)
    data = Views()
    data.annotation_ids = tuple(range(SAMPLES))
    with pytest.raises(CacheError, match="differs in ids"):
        make(folder, data)
    assert contents(folder) == before


def test_a_folder_of_something_else_is_left_as_it_is(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(CacheError, match=r"holds 'notes.txt' and no cache"):
        make(tmp_path)
    with pytest.raises(CacheError, match="cannot be made"):
        make(tmp_path / "notes.txt")
    assert contents(tmp_path) == {"notes.txt": b"mine"}
    (tmp_path / "notes.txt").rename(tmp_path / "ids.npy")
    with pytest.raises(CacheError, match=r"ids.npy' cannot be used"):
        make(tmp_path)
    assert contents(tmp_path) == {"ids.npy": b"mine"}


LIMIT = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (2500, 2500))  # the ids fit, a shard does not
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_disk_that_is_full_is_said_and_leaves_nothing(tmp_path):
    program = ("-c", LIMIT, str(PROGRAM))
    exit_code, errors = build_in_processes(tmp_path / "cache", "at-once", "none", program=program)
    assert exit_code == "1"
    assert "shard-00000.bin' cannot be written (File too large): nothing of it is left" in errors
    assert set(contents(tmp_path / "cache")) == {"header.json", "ids.npy"}
    make(tmp_path / "cache")
    TargetCache.open(tmp_path / "cache", verify="all")


class Both(Teacher):
    """Gives two outputs of what it reads."""

    name, reads, outputs = "both", ("image",), ("small", "classes")

    def targets(self, batch):
        return {"classes": batch["image"].mean((2, 3)), "small": batch["image"][:, :, :2, :2]}

    def fingerprint(self):
        return "both"


def test_several_outputs_of_a_teacher_that_is_no_network(tmp_path):
    codecs = {"small": Dense("float32"), "classes": TopK(3)}
    make(tmp_path, teacher=Both(), codecs=codecs)
    cache = TargetCache.open(tmp_path)
    assert cache.shapes == {"small": (3, 2, 2), "classes": (3,)}
    assert cache.inexact["classes"] == (0, RECORDS)
    data = Views()
    found = cache.read(torch.tensor([data.annotation_ids[4]]), torch.tensor([2]))
    image = data[4, 2]["image"]
    assert torch.equal(found["small"][0], image[:, :2, :2])
    expected = image.mean((1, 2)).log_softmax(0)
    torch.testing.assert_close(found["classes"][0], expected, rtol=1e-3, atol=1e-3)
    make(tmp_path / "one", teacher=Both(), codecs={"classes": TopK(3)})
    assert TargetCache.open(tmp_path / "one").outputs == ("classes",)


def half_as_bright(batch):
    return {**batch, "image": batch["image"] / 2}


def test_batches_are_prepared_as_for_training(tmp_path):
    make(tmp_path, prepare=half_as_bright)
    cache, data = TargetCache.open(tmp_path), Views()
    found = cache.read(torch.tensor([data.annotation_ids[4]]), torch.tensor([2]))["heatmap"]
    expected = teacher().targets({"image": data[4, 2]["image"][None] / 2})["heatmap"]
    torch.testing.assert_close(found, expected, rtol=2**-10, atol=1e-7)
    assert cache.fingerprint == cache_fingerprint(teacher(), data, prepare=half_as_bright)
    with pytest.raises(CacheError, match=r"differs in prepare \(prepare: there 'half_as_bright', now 'none'"):
        make(tmp_path)


def test_an_ensemble_is_told_by_members_and_makeup():
    first, second, data = teacher(1), teacher(2), Views()

    def prints(*arguments):
        return cache_fingerprint(EnsembleTeacher("both", *arguments), data)["teacher"]

    assert prints([first, second]) == prints([teacher(1), teacher(2)])
    others = [prints([first, teacher(3)]), prints([first, second], [1, 2]), prints([second, first], [1, 2])]
    assert len({prints([first, second]), *others}) == 4


class Unlike(Views):
    """Another picture whenever it is read."""

    def __getitem__(self, key):
        return {**super().__getitem__(key), "image": torch.full((3, 8, 6), float(self.reads))}


class Without(Views):
    """Lacks a field."""

    def __init__(self, field: str) -> None:
        super().__init__()
        self.field = field

    def __getitem__(self, key):
        return {name: value for name, value in super().__getitem__(key).items() if name != self.field}


class Growing(Views):
    """Pictures of more than one size."""

    def __getitem__(self, key):
        sample = super().__getitem__(key)
        return sample if key == (0, 0) else {**sample, "image": torch.zeros(3, 9, 6)}


class Blind(Views):
    """Never heard of views."""

    def __getitem__(self, key):
        return super().__getitem__((int(key), 0))


class Broken(Views):
    """One picture has no number."""

    def __getitem__(self, key):
        sample = super().__getitem__(key)
        return sample if key != (7, 1) else {**sample, "image": torch.full((3, 8, 6), torch.nan)}


def anonymous(**attributes):
    data = Views()
    kind = type("Anonymous", (), {"__len__": lambda _: SAMPLES, "__getitem__": lambda _, key: data[key]})
    made = kind()
    made.__dict__.update(attributes)
    return made


IDS = Views().annotation_ids


@pytest.mark.parametrize(
    ("data", "options", "error", "message"),
    [
        (Unlike(), {}, ConfigurationError, "another 'image' when the same view of a sample is read again"),
        (Without("view"), {}, BatchError, "samples have no 'view'"),
        (Without("image"), {}, BatchError, "reads the field 'image'"),
        (Growing(), {}, CacheError, r"\[3, 5, 9, 6\] for 3 samples, the cache's are \[5, 8, 6\]"),
        (Blind(), {}, ConfigurationError, r"no sample for \(index, view\)"),
        (Broken(), {}, CacheError, f"'heatmap' is not finite for the id {IDS[7]}, view 1"),
        (anonymous(), {}, ConfigurationError, "no annotation_ids: give ids="),
        (anonymous(annotation_ids=IDS), {}, ConfigurationError, "the data has no fingerprint"),
        (Views(), {"ids": range(SAMPLES)}, ConfigurationError, r"whose 'id' is \[0, 0, 0\]"),
        (Views(), {"ids": [1] * SAMPLES}, ConfigurationError, "found 12 of which 1 differ"),
        (Views(), {"ids": [1, 2]}, ConfigurationError, "the 12 samples' ids by index"),
        (Views(), {"teacher": torch.nn.Identity()}, ConfigurationError, "Identity is not a Teacher"),
        (Views(), {"codecs": {}}, ConfigurationError, "name one or more"),
        (
            Views(),
            {"codecs": {"depth": Dense()}},
            ConfigurationError,
            r"gives \['heatmap'\], codecs are for \['de",
        ),
        (Views(), {"codecs": {"heatmap": "uint8"}}, ConfigurationError, "codec of 'heatmap' is 'uint8'"),
        (Views(), {"codecs": {"heatmap": BitWindow(5)}}, ConfigurationError, "zeros and ones"),
        (Views(), {"codecs": {"heatmap": TopK(6)}}, ConfigurationError, "6 classes or more"),
        (
            Views(),
            {**bits(), "codecs": {"heatmap": Dense()}, "transforms": {"x": 1}},
            ConfigurationError,
            r"\['x'\]",
        ),
        (Views(), {"views": 0}, ConfigurationError, "views=0: it must be 1 or more"),
        (Views(), {"part": (3, 3)}, ConfigurationError, r"part=\(3, 3\)"),
        (Views(), {"shard_records": 0}, ConfigurationError, "shard_records=0"),
        (Views(), {"fingerprint": {"seed": 3}}, ConfigurationError, r"items are strings, \['seed'\]"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_no_shard(tmp_path, data, options, error, message):
    with pytest.raises(error, match=message):
        make(tmp_path, data, **options)
    assert not list(tmp_path.glob("*.bin")) + list(tmp_path.glob(".*"))


def test_many_records_make_few_shards(tmp_path, monkeypatch):
    monkeypatch.setattr("kdkit.cache.build._MOST_SHARDS", 4)
    monkeypatch.setattr("kdkit.cache.build._LEAST_RECORDS", 5)
    make(tmp_path / "many", shard_records=None)
    assert len(list((tmp_path / "many").glob("*.bin"))) == 4
    make(tmp_path / "few", views=1, shard_records=None)
    assert len(list((tmp_path / "few").glob("*.bin"))) == 3
