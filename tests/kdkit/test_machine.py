from kdkit import machine
from kdkit.machine import Machine


def test_this_machine_is_named_by_its_processor():
    here = Machine.here()
    assert here.cpu in here.name
    assert here.cores >= 1
    assert Machine.here("Mine (R)").file == "mine-r.json"


def test_a_processor_is_named_without_its_marks_and_clock(monkeypatch, tmp_path):
    (tmp_path / "cpuinfo").write_text("model name\t: Intel(R) Xeon(R) Gold 6230 CPU @ 2.10GHz\n", encoding="utf-8")
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    assert Machine.here().cpu == "Intel Xeon Gold 6230"
