"""Pair-wise similarity: its nodes, their number, and what it does not see."""

import pytest
import torch

from kdkit import BatchError, ConfigurationError, losses


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_does_not_see_the_scale_of_a_position_nor_a_turn_of_the_channels():
    student, teacher = draw(2, 4, 3, 5), draw(2, 6, 3, 5, seed=1)
    turn, _ = torch.linalg.qr(draw(4, 4))
    other = torch.einsum("dc,bchw->bdhw", turn, student) * draw(2, 1, 3, 5, seed=2).abs()
    torch.testing.assert_close(
        losses.pairwise_similarity(other, teacher), losses.pairwise_similarity(student, teacher)
    )


def test_is_symmetric_in_the_nodes_and_zero_for_a_node_with_itself():
    loss = losses.pairwise_similarity(draw(2, 4, 3, 5), draw(2, 6, 3, 5, seed=1))
    torch.testing.assert_close(loss, loss.mT)
    assert loss.diagonal(dim1=1, dim2=2).abs().max() < 1e-20
    assert 0 <= loss.min() <= loss.max() <= 4


@pytest.mark.parametrize(("size", "patch", "count"), [((4, 6), 2, 6), ((5, 5), 2, 9), ((3, 4), 9, 1)])
def test_counts_patches_also_at_the_edge(size, patch, count):
    maps = draw(2, 3, *size)
    assert losses.pairwise_similarity(maps, maps, patch=patch).shape == (2, count, count)


def test_too_many_nodes_are_refused_with_a_patch_that_is_enough():
    maps = torch.zeros(1, 1, 128, 96)
    with pytest.raises(BatchError, match=r"12288 nodes.*max_nodes is 4096.*patch=2\)"):
        losses.pairwise_similarity(maps, maps)
    losses.pairwise_similarity(maps, maps, patch=2)


@pytest.mark.parametrize("limit", [1, 2, 7, 24])
def test_the_patch_it_names_is_the_smallest_that_is_enough(limit):
    maps = torch.zeros(1, 1, 5, 7)
    with pytest.raises(BatchError) as caught:
        losses.pairwise_similarity(maps, maps, max_nodes=limit)
    named = int(str(caught.value).split("patch=")[1].rstrip(")"))
    losses.pairwise_similarity(maps, maps, patch=named, max_nodes=limit)
    with pytest.raises(BatchError):
        losses.pairwise_similarity(maps, maps, patch=named - 1, max_nodes=limit)


def test_as_many_nodes_as_allowed_are_taken():
    maps = torch.ones(1, 1, 5, 7)
    assert losses.pairwise_similarity(maps, maps, max_nodes=35).shape == (1, 35, 35)


def test_patches_need_a_grid():
    rows = torch.zeros(2, 3, 8)
    with pytest.raises(BatchError, match=r"patch=2.*\(2, 3, 8\)"):
        losses.pairwise_similarity(rows, rows, patch=2)
    with pytest.raises(BatchError, match=r"8 nodes.*smaller maps"):
        losses.pairwise_similarity(rows, rows, max_nodes=7)


def test_a_patch_of_nothing_is_refused():
    with pytest.raises(ConfigurationError, match="patch=0"):
        losses.pairwise_similarity(torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4), patch=0)
