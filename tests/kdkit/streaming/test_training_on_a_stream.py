"""The trainer on shards: a run that was killed goes on as if it had not been."""

from functools import partial

import pytest
import torch

from kdkit import Trainer
from kdkit.streaming import Shards, StreamLoader


class Killed(Exception):
    """Stands for a crash."""


class Fragile(StreamLoader):
    left = -1

    def __iter__(self):
        self.epochs = [*getattr(self, "epochs", []), self.epoch]
        for batch in super().__iter__():
            if self.left == 0:
                raise Killed
            self.left -= 1
            yield batch


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("killed_at", [1, 6])
def test_resumed_equals_never_stopped_to_the_bit(toy, make_shards, tmp_path, workers, killed_at):
    folder, opened = make_shards((3, 6, 2, 5)), []

    class Shown:
        """The toy's pictures, by the samples of shards."""

        def __init__(self):
            self.pictures = toy.pictures(16)

        def __getitem__(self, index):
            sample, view = index
            return self.pictures[sample.id - 100, view]

    def open_shard(name):
        opened.append(name)
        return (folder / name).open("rb")

    def fit(out, left=-1, workers=0):
        torch.manual_seed(7)
        loader = Fragile(Shards(folder, open_shard=open_shard), Shown(), 4, seed=1, buffer=8, workers=workers)
        loader.left = left
        optimizer = partial(torch.optim.Adam, lr=1e-2)
        trainer = Trainer(
            *(toy.distiller(), loader),
            optimizer=optimizer,
            out=out,
            checkpoint_steps=1,
            cpu=True,
            progress=False,
        )
        trainer.fit()
        assert loader.epochs == list(range(loader.epochs[0], 4))
        return torch.load(out / "checkpoints" / "last.pt", weights_only=True)["network"]

    straight = fit(tmp_path / "straight")
    with pytest.raises(Killed):
        fit(tmp_path / "resumed", left=killed_at)
    resumed = fit(tmp_path / "resumed", workers=workers)
    assert straight.keys() == resumed.keys()
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)
