from dataclasses import replace

from benchmarks import page
from benchmarks.measuring import Figure, Machine, Record, Results

MET = Figure("kdkit", "loop", "speed", "", 0.9912, 0.98, 1.0, at_least=0.98, met=True)
MISSED = Figure("read", None, "rate", "reads/s", 40149.0, 39000.0, 41000.0, at_least=50000, met=False)
SHOWN = Figure("kdkit", None, "size", "bytes", 324)
RECORD = Record(
    "evaluation",
    "a step",
    (MET, MISSED),
    "abc",
    "2026-01-02",
    candidates={"kdkit": 0.0102, "loop": 0.0101},
    rounds=7,
    threads=1,
    clock="host clock",
    versions={"torch": "2"},
)
RESULTS = Results(
    Machine("Mine", "A processor", 2, "A GPU"), (RECORD, replace(RECORD, name="a size", figures=(SHOWN,)))
)


def test_the_committed_page_is_what_the_files_of_results_give():
    made = page.make_page(
        page.read_results(page.BENCHMARKS / "results"), page.read_notes(page.BENCHMARKS / "notes.toml")
    )
    assert page.PAGE.read_text(encoding="utf-8") == made, "run: python benchmarks/page.py"


def test_a_page_shows_figures_beside_their_targets():
    text = page.make_page([RESULTS], {"evaluation: a step": "the disk is slow."})
    assert "\n## Mine\n\nA processor, 2 cores, A GPU.\n" in text
    assert "\n### evaluation\n\nEvaluating 10,000 persons" in text
    assert "| a step | speed of kdkit against loop | 0.991 (0.980 to 1.00) | at least 0.98 | **met** |\n" in text
    assert (
        "|  | rate of read | 40,100 reads/s (39,000 to 41,000) | at least 50,000 reads/s | **missed** |\n" in text
    )
    assert "| a size | size of kdkit | 324 bytes |  |  |\n" in text
    assert "Missed, a step: the disk is slow.\n" in text
    assert "- a step: kdkit 10.2 ms, loop 10.1 ms (7 rounds by host clock, 1 thread).\n" in text
    assert text.count("- Measured on 2026-01-02 at commit abc with torch 2.\n") == 1


def test_a_miss_without_a_cause_says_so():
    assert "Missed, a step: no cause is noted.\n" in page.make_page([RESULTS], {})


def test_an_interval_with_the_target_in_it_tells_nothing():
    open_ = replace(MET, low=0.97)
    text = page.make_page([replace(RESULTS, records=(replace(RECORD, figures=(open_,)),))], {})
    assert "| 0.991 (0.970 to 1.00) | at least 0.98 | **not told** |" in text
    assert "Not told, a step: the interval holds the target; nothing more is noted.\n" in text


def test_a_page_without_results_says_so():
    assert "\nNothing has been measured yet.\n" in page.make_page([], {})


def test_a_page_without_a_gpus_results_says_so():
    assert page.make_page([RESULTS], {}).endswith(page.NO_GPU)
    on_gpu = replace(RESULTS, records=(replace(RESULTS.records[0], suite=page.GPU_SUITE),))
    assert page.NO_GPU not in page.make_page([on_gpu], {})


def test_every_note_is_of_a_measurement():
    kept = page.read_results(page.BENCHMARKS / "results")
    known = {f"{record.suite}: {record.name}" for results in kept for record in results.records}
    assert page.read_notes(page.BENCHMARKS / "notes.toml").keys() <= known
