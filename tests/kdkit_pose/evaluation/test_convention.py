"""Crops of one codec are not decoded by another."""

from dataclasses import replace

import pytest
from torch.utils.data import Subset

from kdkit.errors import ConfigurationError
from kdkit_pose import DARK, UDP, Evaluator, loader, recipes
from kdkit_pose.evaluation import predict
from kdkit_pose.fit import FitSettings, fit

CODEC = DARK(input_size=(32, 32))


@pytest.mark.parametrize("other", [UDP(input_size=(32, 32)), DARK(input_size=(64, 32)), replace(CODEC, sigma=3.0)])
def test_another_convention_is_refused_with_what_differs(tiny_people, small_network, other):
    data = tiny_people(codec=CODEC)
    what = CODEC.differences(other)[0]
    with pytest.raises(ConfigurationError, match=what.split(":")[0]):
        Evaluator(loader(data, 4), data.coco_dict(), other)
    with pytest.raises(ConfigurationError, match="only the decoder may differ"):
        predict(small_network(), loader(data, 4), other)
    with pytest.raises(ConfigurationError, match=what.split(":")[0]):
        Evaluator(loader(Subset(data, [0, 1]), 2), data.coco_dict(), other)


def test_another_decoder_is_welcome(tiny_people, small_network):
    data = tiny_people(codec=CODEC)
    evaluate = Evaluator(loader(data, 4), data.coco_dict(), replace(CODEC, decoder="centroid"), flip=False)
    assert 0 <= evaluate(small_network())["val/AP"] <= 1


def test_batches_that_name_no_codec_are_taken(tiny_people, small_network):
    data = tiny_people(codec=CODEC)
    found = predict(small_network(), list(loader(data, 4)), CODEC, flip=False)
    assert len(found) == len(data)


def test_a_student_is_not_written_as_another_codecs(tiny_people, small_network, tmp_path):
    data = tiny_people(codec=CODEC)
    settings = FitSettings(batch_size=2, cpu=True, progress=False)
    with pytest.raises(ConfigurationError, match="codec: udp and dark"):
        fit(small_network(), recipes.supervised(until=1), data, tmp_path / "run", settings, codec=UDP((32, 32)))
    assert not (tmp_path / "run").exists()
