import numpy as np
import pytest
import torch

from kdkit_pose import codecs
from kdkit_pose.codecs import DARK, MSRA, peak_centroids


def discs(threshold: float, keypoints: np.ndarray, sigma: float = 2.0) -> torch.Tensor:
    heatmap, _ = DARK(sigma=sigma).encode(keypoints, np.ones(len(keypoints)))
    return torch.from_numpy((heatmap > threshold).astype(np.float32))[None]


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.7])
def test_discs_are_found_below_the_grid_where_argmax_is_lost(threshold):
    keypoints = np.random.default_rng(0).uniform(30, [162, 226], size=(300, 2))
    heatmap = discs(threshold, keypoints)
    found, scores = DARK(decoder="centroid").decode(heatmap)
    error = np.linalg.norm(found[0].numpy() - keypoints, axis=1) / 4
    argmax = np.linalg.norm(MSRA().decode(heatmap)[0][0].numpy() - keypoints, axis=1) / 4
    assert error.mean() < 0.2
    assert argmax.mean() > 3 * error.mean()
    assert (scores == 1).all()


def test_discs_of_a_wider_gaussian_are_reached_whole():
    keypoints = np.random.default_rng(0).uniform(50, [142, 206], size=(50, 2))
    found, _ = DARK(sigma=3.0, decoder="centroid").decode(discs(0.1, keypoints, sigma=3.0))
    assert np.linalg.norm(found[0].numpy() - keypoints, axis=1).mean() / 4 < 0.2


def test_a_second_disc_does_not_pull():
    alone = discs(0.5, np.array([[60.0, 80.0]]))
    beside = discs(0.5, np.array([[60.0, 112.0]]))
    assert torch.equal(peak_centroids(alone, 10)[0], peak_centroids(alone + 0.9 * beside, 10)[0])


def test_values_weigh():
    heatmap = torch.zeros(1, 1, 8, 8)
    heatmap[0, 0, 3, 2:4] = torch.tensor([1.0, 0.5])
    points, scores = peak_centroids(heatmap, 3)
    assert torch.allclose(points[0, 0], torch.tensor([2 + 1 / 3, 3.0]))
    assert scores.item() == 1


def test_values_below_half_of_the_peak_do_not_count():
    heatmap = torch.zeros(1, 1, 8, 8)
    heatmap[0, 0, 3, 2:4] = torch.tensor([1.0, 0.49])
    assert peak_centroids(heatmap, 3)[0].tolist() == [[[2, 3]]]


@pytest.mark.parametrize("factor", [1e-30, 1e-3, 1e30])
def test_the_range_of_values_does_not_matter(factor):
    heatmap = torch.rand(2, 3, 16, 12, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(peak_centroids(heatmap * factor, 5)[0], peak_centroids(heatmap, 5)[0])


def test_flooding_equals_a_slow_search():
    heatmap = torch.rand(1, 20, 12, 10, generator=torch.Generator().manual_seed(0)) ** 3
    points, _ = peak_centroids(heatmap, reach=4)
    for values, point in zip(heatmap[0].double().numpy(), points[0], strict=True):
        start = np.unravel_index(values.argmax(), values.shape)
        region, front = {start}, [start]
        for _ in range(4):
            front = [
                (row + dy, column + dx)
                for row, column in front
                for dy in (-1, 0, 1)
                for dx in (-1, 0, 1)
                if 0 <= row + dy < 12 and 0 <= column + dx < 10
                if values[row + dy, column + dx] >= values.max() / 2
            ]
            region.update(front)
        cells = np.array(sorted(region))
        weights = values[cells[:, 0], cells[:, 1]]
        expected = (cells[:, ::-1] * weights[:, None]).sum(axis=0) / weights.sum()
        assert np.allclose(point.numpy(), expected, atol=1e-5)


def test_both_codecs_decode_discs_alike():
    heatmap = discs(0.5, np.array([[60.0, 80.0], [90.0, 33.0]]))
    first, second = (codecs.create(name, decoder="centroid").decode(heatmap)[0] for name in codecs.names())
    assert torch.equal(first, second)
