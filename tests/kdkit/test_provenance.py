import json
import subprocess

from kdkit import provenance


def test_it_is_plain_json_and_names_what_a_figure_depends_on():
    found = provenance.provenance()
    assert json.loads(json.dumps(found)) == found
    assert {"python", "kdkit", "torch", "numpy"} <= found["versions"].keys()
    assert "pytest" not in found["versions"]
    assert found["machine"]["cores"] >= 1


def _git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_a_commit_is_marked_where_files_differ(monkeypatch, tmp_path):
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    assert provenance.commit() is None
    _git(tmp_path, "init")
    assert provenance.commit() is None
    (tmp_path / "a.py").write_text("1")
    _git(tmp_path, "add", "a.py")
    _git(tmp_path, "commit", "-m", "a")
    clean = provenance.commit()
    assert len(clean) == 10
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    (tmp_path / "benchmarks" / "results" / "a.json").write_text("{}")
    assert provenance.commit() == clean
    (tmp_path / "a.py").write_text("2")
    assert provenance.commit() == f"{clean}+"


def test_an_installed_packages_commit_is_not_that_of_the_clone_it_lies_in(monkeypatch, tmp_path):
    _git(tmp_path, "init")
    (tmp_path / "a.py").write_text("1")
    _git(tmp_path, "add", "a.py")
    _git(tmp_path, "commit", "-m", "a")
    (tmp_path / "site-packages").mkdir()
    monkeypatch.setattr(provenance, "ROOT", tmp_path / "site-packages")
    assert provenance.commit() is None
