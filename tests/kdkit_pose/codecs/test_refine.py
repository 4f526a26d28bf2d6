"""Peaks away from the border take one step, those near it all: as if every one took them."""

import numpy as np
import pytest
import torch

from kdkit_pose.codecs import DARK, UDP
from kdkit_pose.codecs.newton import newton_step
from kdkit_pose.codecs.peak import find_peaks, neighbourhood
from kdkit_pose.codecs.refine import BORDER_ROUNDS, refine
from kdkit_pose.codecs.smoothing import border_loss, smooth


@pytest.mark.parametrize("codec", [DARK((96, 128)), UDP((96, 128)), DARK((32, 32))], ids=str)
def test_the_border_takes_nothing_from_peaks_away_from_it(codec):
    draw = np.random.default_rng(0)
    points = draw.uniform(-4, np.array(codec.input_size) + 4, (20, 17, 2))
    maps = np.stack([codec.encode(person, np.ones(17))[0] for person in points])
    maps = torch.from_numpy((maps + draw.normal(0, 0.02, maps.shape)).astype(np.float32))
    options = {"kernel": codec.blur_kernel, "sigma": codec.sigma, "reach": codec.reach}
    smoothed, cells = smooth(maps, codec.blur_kernel, codec.reach), find_peaks(maps)[0]
    found = refine(smoothed, cells, derivatives=codec._derivatives, **options)
    around = neighbourhood(smoothed, cells + codec.reach, codec.reach).clamp(min=1e-10).log()
    step = torch.zeros(cells.shape)
    single = newton_step(codec._derivatives(around))
    for _ in range(BORDER_ROUNDS):
        step = newton_step(codec._derivatives(around - border_loss(cells, step, codec.heatmap_size, **options)))
    torch.testing.assert_close(found, cells + step, rtol=0, atol=1e-6)
    further = ((found - cells - single).abs() > 1e-3).any(-1).float().mean()
    assert further > 0.05
