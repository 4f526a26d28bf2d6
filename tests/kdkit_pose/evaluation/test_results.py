import numpy as np
import pytest

from kdkit.errors import DataError
from kdkit_pose.evaluation import read_results, write_results


def test_every_digit_comes_back(tmp_path):
    results = [{"keypoints": np.random.default_rng(0).normal(size=51).tolist(), "score": 0.1 + 0.2}]
    write_results(results, tmp_path / "results.json")
    assert read_results(tmp_path / "results.json") == results
    write_results([], tmp_path / "results.json")
    assert read_results(tmp_path / "results.json") == []
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


@pytest.mark.parametrize("broken", [{"score": float("nan")}, {"score": {1, 2}}])
def test_what_cannot_be_written_leaves_the_old_file(tmp_path, broken):
    path = tmp_path / "results.json"
    write_results([{"score": 1.0}], path)
    with pytest.raises(DataError, match=r"results\.json"):
        write_results([broken], path)
    assert read_results(path) == [{"score": 1.0}]
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_missing_folders_are_made_and_impossible_ones_named(tmp_path):
    write_results([], tmp_path / "new" / "results.json")
    assert read_results(tmp_path / "new" / "results.json") == []
    with pytest.raises(DataError, match=r"results.json.*cannot be written"):
        write_results([], tmp_path / "new" / "results.json" / "results.json")
