"""A batch prepared on its device is what samples are that are made one by one."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from kdkit.naming import callable_name
from kdkit_pose.codecs import DARK, MSRA, UDP
from kdkit_pose.data import PrepareSamples, normalize
from kdkit_pose.data.collating import SampleBatch, collate
from kdkit_pose.data.preparing import normalize_batch


def raw_batch(device: str = "cpu") -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    batch = {
        "image": torch.randint(0, 256, (3, 3, 64, 48), generator=generator).byte(),
        "mask": torch.randint(0, 256, (3, 1, 64, 48), generator=generator).byte(),
        "keypoints": torch.rand(3, 17, 2, generator=generator, dtype=torch.float64) * 60 - 5,
        "labelled": torch.rand(3, 17, generator=generator) < 0.7,
        "id": torch.tensor([4, 5, 6]),
    }
    return {name: value.to(device) for name, value in batch.items()}


@pytest.mark.parametrize("codec", [DARK((48, 64)), UDP((48, 64)), MSRA((48, 64))], ids=str)
def test_each_field_is_that_of_a_sample(codec: Any) -> None:
    batch = raw_batch()
    before = {name: value.clone() for name, value in batch.items()}
    prepared = PrepareSamples(codec)(batch)
    assert all(torch.equal(batch[name], before[name]) for name in before), "the loader's batch is left as it is"
    assert prepared.keys() == {*batch, "heatmap", "visible"}
    for row in range(3):
        picture = batch["image"][row].permute(1, 2, 0).numpy()
        np.testing.assert_allclose(prepared["image"][row], normalize(picture), atol=1e-6)
        heatmap, visible = codec.encode(batch["keypoints"][row], batch["labelled"][row])
        np.testing.assert_allclose(prepared["heatmap"][row], heatmap, atol=1e-6)
        np.testing.assert_array_equal(prepared["visible"][row], visible)
    np.testing.assert_array_equal(prepared["mask"], batch["mask"].numpy() * np.float32(1 / 255))
    assert torch.equal(prepared["keypoints"], batch["keypoints"].float())
    assert torch.equal(prepared["id"], batch["id"])
    kinds = {name: value.dtype for name, value in prepared.items()}
    assert {kinds[name] for name in ("image", "mask", "heatmap", "visible", "keypoints")} == {torch.float32}
    assert prepared["image"].is_contiguous()


def test_pictures_alone_are_prepared_too() -> None:
    image = raw_batch()["image"]
    prepared = PrepareSamples(DARK((48, 64)))({"image": image})
    assert prepared.keys() == {"image"}
    assert torch.equal(prepared["image"], normalize_batch(image))


def test_its_name_tells_the_codec_in_every_process() -> None:
    assert callable_name(PrepareSamples(DARK())) == f"PrepareSamples(codec={DARK()!r})"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_device_is_not_waited_for() -> None:
    prepare, batch = PrepareSamples(DARK((48, 64))), raw_batch("cuda")
    prepare(batch)  # copies the constants
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        prepared = prepare(batch)
    finally:
        torch.cuda.set_sync_debug_mode(before)
    expected = prepare(raw_batch())
    for name, value in prepared.items():
        torch.testing.assert_close(value.cpu(), expected[name], rtol=0, atol=1e-5)


def test_samples_read_as_one_batch_are_not_copied_again() -> None:
    samples = SampleBatch(raw_batch())
    assert len(samples) == 3
    assert collate(samples) is samples.fields
    assert samples[1]["image"].data_ptr() == samples.fields["image"][1].data_ptr()
    assert samples[1:].fields["id"].tolist() == [5, 6]
    again = collate([samples[0], samples[2]])
    assert again["id"].tolist() == default_collate([samples[0], samples[2]])["id"].tolist() == [4, 6]
