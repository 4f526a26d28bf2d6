"""``Trainer(prepare=...)``: batches are made ready on the device, and a resumed run makes them the same."""

import json
from functools import partial

import pytest
import torch
from torch.utils.data import DataLoader

from kdkit import (
    BatchError,
    ConfigurationError,
    Curriculum,
    Distiller,
    Epochs,
    RunFolderError,
    Stage,
    Supervise,
    Trainer,
    losses,
)
from kdkit.training.preparation import Preparation

from .interruption import Fragile, Interrupted


def normalized(batch, *, mean=0.5):
    return {**batch, "image": (batch["image"] - mean) / 2}


def trainer(toy, out, *, loader=None, prepare=normalized) -> Trainer:
    torch.manual_seed(7)
    return Trainer(
        toy.distiller(),
        toy.loader() if loader is None else loader,
        optimizer=partial(torch.optim.Adam, lr=1e-2),
        out=out,
        prepare=prepare,
        checkpoint_steps=1,
        cpu=True,
        progress=False,
    )


def network(out) -> dict[str, torch.Tensor]:
    return torch.load(out / "checkpoints" / "last.pt", weights_only=True)["network"]


def losses_of(out) -> list[float]:
    return [json.loads(line)["loss/total"] for line in (out / "metrics.jsonl").read_text().splitlines()]


def assert_same(one, other) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_batch_is_prepared_after_it_was_moved_to_the_device():
    seen = []
    batch = {"image": torch.zeros(2, 3), "note": "kept"}
    prepare = Preparation(lambda moved: seen.append(moved["image"].device.type) or moved, torch.device("meta"))
    assert prepare(batch)["image"].device.type == "meta"
    assert seen == ["meta"]


def test_every_batch_of_every_epoch_is_prepared_once(toy, tmp_path):
    prepared = []

    def watched(batch):
        assert not torch.is_grad_enabled()
        prepared.append(batch["id"].tolist())
        return batch

    trainer(toy, tmp_path, prepare=watched).fit()
    assert len(prepared) == 12
    for epoch in range(4):
        ids = [one for batch in prepared[3 * epoch : 3 * epoch + 3] for one in batch]
        assert sorted(ids) == list(range(1000, 1012))


def test_it_learns_from_what_prepare_gives(toy, tmp_path):
    """As from a data set that gives the same; and not as from the batches before."""

    class Ready(type(toy.pictures())):
        def __getitem__(self, key):
            return normalized(super().__getitem__(key))

    trainer(toy, tmp_path / "prepared").fit()
    loader = DataLoader(Ready(), 4, sampler=toy.loader().sampler)
    trainer(toy, tmp_path / "ready", loader=loader, prepare=None).fit()
    trainer(toy, tmp_path / "raw", prepare=None).fit()
    assert_same(network(tmp_path / "prepared"), network(tmp_path / "ready"))
    assert losses_of(tmp_path / "prepared") == losses_of(tmp_path / "ready") != losses_of(tmp_path / "raw")


@pytest.mark.parametrize("crash_at", [1, 4, 8])
def test_a_resumed_run_prepares_too(toy, tmp_path, crash_at):
    trainer(toy, tmp_path / "straight").fit()
    with pytest.raises(Interrupted):
        trainer(toy, tmp_path / "resumed", loader=Fragile(toy.loader(), crash_at)).fit()
    trainer(toy, tmp_path / "resumed").fit()
    assert_same(network(tmp_path / "straight"), network(tmp_path / "resumed"))
    assert losses_of(tmp_path / "straight") == losses_of(tmp_path / "resumed")


def test_another_preparation_is_another_run(toy, tmp_path):
    trainer(toy, tmp_path, prepare=partial(normalized, mean=0.25)).fit()
    with pytest.raises(RunFolderError, match=r"differs in trainer\.prepare .*mean=0\.25.*mean=0\.75"):
        trainer(toy, tmp_path, prepare=partial(normalized, mean=0.75)).fit()
    with pytest.raises(RunFolderError, match=r"differs in trainer\.prepare"):
        trainer(toy, tmp_path, prepare=None).fit()


def test_what_fails_in_it_is_named(toy, tmp_path):
    def broken(batch):
        return {"image": batch["picture"]}

    with pytest.raises(BatchError, match=r"prepare=.*broken failed with KeyError: 'picture' .*heatmap, id, image"):
        trainer(toy, tmp_path / "a", prepare=broken).fit()
    with pytest.raises(BatchError, match=r"prepare=.*<lambda> returned a NoneType"):
        trainer(toy, tmp_path / "b", prepare=lambda batch: None).fit()
    with pytest.raises(ConfigurationError, match="prepare='render' is not a function"):
        trainer(toy, tmp_path / "c", prepare="render")


def test_a_field_that_only_prepare_makes_can_be_learned_from(toy, tmp_path):
    """Targets rendered on the device: the loader need not give them, and the distiller finds them."""

    def rendered(batch):
        return {"image": batch["image"], "drawn": batch["heatmap"] * batch["visible"][:, :, None, None]}

    stage = Stage("a", [Supervise("heatmap", losses.mse, target="drawn")], Epochs(1))
    made = Trainer(
        Distiller(toy.student(), Curriculum(stage)),
        toy.loader(),
        optimizer=partial(torch.optim.Adam, lr=1e-2),
        out=tmp_path,
        prepare=rendered,
        cpu=True,
        progress=False,
    )
    assert made.fit().steps == 3
