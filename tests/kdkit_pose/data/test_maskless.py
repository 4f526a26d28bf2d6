import pickle

import torch

from kdkit_pose.data import Augment, CocoKeypoints, PackedKeypoints, PoseDataset, pack
from kdkit_pose.data.maskless import without_masks


def check(data: PoseDataset, plain: PoseDataset) -> None:
    """They are the same persons, of whom ``data`` has masks and ``plain`` has none."""
    fingerprint = data.fingerprint()
    bare = without_masks(data)
    assert fingerprint == data.fingerprint() != bare.fingerprint() == plain.fingerprint()
    assert data.has_masks
    assert any(data.own_masks)
    assert bare.own_masks == plain.own_masks
    for one in (bare, pickle.loads(pickle.dumps(bare))):
        sample = one[3, 2]
        assert "mask" not in sample
        assert sample.keys() == plain[3, 2].keys()
        assert torch.equal(sample["image"], data[3, 2]["image"])
    assert without_masks(bare) is bare


def test_it_is_the_data_set_without_masks(tiny_people):
    check(tiny_people(augment=Augment(), masks=True), tiny_people(augment=Augment(), masks=False))


def test_so_it_is_of_packed_persons(tiny_people, tmp_path):
    people: CocoKeypoints = tiny_people(masks=True)
    packed = pack(people, tmp_path / "packed", augment=Augment())
    both, plain = (
        PackedKeypoints(packed, codec=people.codec, augment=Augment(), masks=of) for of in (None, False)
    )
    check(both, plain)
