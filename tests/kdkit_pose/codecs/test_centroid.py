import numpy as np
import pytest
import torch

from kdkit_pose import codecs
from kdkit_pose.codecs import DARK, MSRA, peak_centroids
from kdkit_pose.codecs.centroid import WINDOW, window_kernel


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
    assert error.mean() < (0.3 if threshold == 0.1 else 0.2)
    assert argmax.mean() > 3 * error.mean()
    assert (scores == 1).all()


def test_discs_of_a_wider_gaussian_are_found_too():
    keypoints = np.random.default_rng(0).uniform(50, [142, 206], size=(50, 2))
    found, _ = DARK(sigma=3.0, decoder="centroid").decode(discs(0.5, keypoints, sigma=3.0))
    assert np.linalg.norm(found[0].numpy() - keypoints, axis=1).mean() / 4 < 0.2


def test_discs_that_the_border_cuts_are_found_where_they_would_be_whole():
    rng = np.random.default_rng(0)
    keypoints = np.column_stack([rng.uniform(0, 6, size=200), rng.uniform(30, 226, size=200)])
    found, _ = DARK(decoder="centroid").decode(discs(0.5, keypoints))
    error = (found[0].numpy() - keypoints) / 4
    assert np.abs(error).mean() < 0.25
    # Cut through the middle, a disc's own centroid lies a whole cell inside.
    assert np.abs(error[:, 0].mean()) < 0.15


def test_a_second_disc_does_not_pull():
    alone = discs(0.5, np.array([[60.0, 80.0]]))
    beside = discs(0.5, np.array([[60.0, 112.0]]))
    assert torch.equal(peak_centroids(alone, 2.0)[0], peak_centroids(alone + 0.9 * beside, 2.0)[0])


def test_a_lone_high_cell_does_not_lead_away_from_the_disc():
    heatmap = discs(0.5, np.array([[60.0, 80.0]]))
    expected, _ = peak_centroids(heatmap, 2.0)
    heatmap[0, 0, 50, 40] = 1.5
    found, score = peak_centroids(heatmap, 2.0)
    assert torch.allclose(found, expected, atol=1e-3)
    assert score.item() == 1.5


def test_higher_values_pull():
    heatmap = discs(0.5, np.array([[100.0, 100.0]]))
    heatmap[0, 0, 24:27, 26] = 3.0
    (x, y), (plain_x, plain_y) = (
        peak_centroids(maps, 2.0)[0][0, 0].tolist() for maps in (heatmap, discs(0.5, np.array([[100.0, 100.0]])))
    )
    assert x > plain_x + 0.3
    assert y == pytest.approx(plain_y, abs=1e-3)


@pytest.mark.parametrize("factor", [1e-20, 1e-3, 1e30])
def test_the_range_of_values_does_not_matter(factor):
    heatmap = discs(0.5, np.random.default_rng(0).uniform(30, [162, 226], size=(20, 2)))
    noise = 0.1 * torch.rand(heatmap.shape, generator=torch.Generator().manual_seed(0))
    found, expected = (peak_centroids(maps, 2.0)[0] for maps in ((heatmap + noise) * factor, heatmap + noise))
    assert torch.allclose(found, expected, atol=1e-4)


def test_the_point_is_the_centroid_of_what_a_gaussian_window_around_it_shows():
    generator = np.random.default_rng(0)
    keypoints = generator.uniform(40, [152, 216], size=(40, 2))
    smooth, _ = DARK(sigma=1.5).encode(keypoints, np.ones(40))
    heatmap = (smooth**0.5).clip(max=0.8) + generator.uniform(0, 0.05, smooth.shape)
    points, _ = peak_centroids(torch.from_numpy(heatmap).float()[None], 2.0)
    rows, columns = np.mgrid[: heatmap.shape[1], : heatmap.shape[2]]
    for values, (x, y) in zip(heatmap, points[0].tolist(), strict=True):
        weight = values * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 1.4**2))
        centroid = np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
        assert np.linalg.norm(centroid - [x, y]) < 0.1


def test_codecs_of_the_same_cells_decode_discs_alike():
    heatmap = discs(0.5, np.array([[60.0, 80.0], [90.0, 33.0]]))
    in_cells = [
        codec.decode(heatmap)[0] / torch.tensor(codec.cell_size)
        for codec in (codecs.create(name, decoder="centroid") for name in codecs.names())
    ]
    for other in in_cells[1:]:
        assert torch.allclose(in_cells[0], other)


@pytest.mark.parametrize("name", codecs.names())
def test_a_disc_comes_back_in_the_codecs_own_units(name):
    codec = codecs.create(name, decoder="centroid")
    heatmap, _ = codec.encode([[170.0, 230.0]], [2])
    found, _ = codec.decode(torch.from_numpy((heatmap > 0.5).astype(np.float32))[None])
    # MSRA has rounded the place to a cell before.
    assert np.abs(found[0, 0].numpy() - [170, 230]).max() < (2.1 if name == "msra" else 0.8)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_discs_of_a_narrow_gaussian_are_found_no_worse_than_by_their_peak(threshold):
    keypoints = np.random.default_rng(0).uniform(16, [80, 112], size=(500, 2))
    codec = DARK((96, 128), sigma=1.0)
    heatmap, _ = codec.encode(keypoints, np.ones(500))
    disc = torch.from_numpy((heatmap > threshold).astype(np.float32))[None]
    by_peak, by_centroid = (
        np.median(np.linalg.norm(one.decode(disc)[0][0].numpy() - keypoints, axis=1))
        for one in (codec, DARK((96, 128), sigma=1.0, decoder="centroid"))
    )
    assert by_centroid <= by_peak + 0.01
    assert by_centroid < 0.8


def test_wider_gaussians_keep_their_window():
    assert [window_kernel(WINDOW * sigma) for sigma in (0.5, 1.0, 2.0, 3.0)] == [5, 5, 7, 11]
