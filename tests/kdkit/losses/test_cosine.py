"""The cosine distance: what it does not see."""

import torch

from kdkit import losses


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_does_not_see_length():
    student, teacher = draw(2, 3, 4, 5), draw(2, 3, 4, 5, seed=1)
    lengths = draw(2, 1, 4, 5, seed=2).abs()
    torch.testing.assert_close(losses.cosine(lengths * student, teacher), losses.cosine(student, teacher))


def test_opposite_vectors_are_at_two_and_a_zero_at_one():
    student = draw(2, 3)
    torch.testing.assert_close(losses.cosine(student, -student), torch.full((2, 1), 2.0).double())
    assert losses.cosine(torch.zeros(2, 3), student).tolist() == [[1.0], [1.0]]
