import pytest
import torch

from kdkit_pose.components import count_components


def test_counts_map_by_map():
    maps = torch.zeros(2, 3, 9, 7)
    maps[0, 0, 1, 1] = maps[0, 0, 2, 2] = 1.0  # touching at a corner
    maps[0, 1, 0, 0] = maps[0, 1, 8, 6] = maps[0, 1, 4, 3] = 0.1
    maps[1, 2] = 1
    assert count_components(maps).tolist() == [[1, 3, 0], [0, 0, 1]]


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.float16, torch.int64])
def test_of_any_type(dtype):
    assert count_components(torch.tensor([[1, 0, 1]]).to(dtype)).tolist() == 2
