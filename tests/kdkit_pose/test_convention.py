"""Crops and networks of one codec are not used with another, however they come together."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch.utils.data import Subset

from kdkit import Distiller, Trainer, losses
from kdkit.errors import ConfigurationError
from kdkit_pose import DARK, MSRA, UDP, Evaluator, MaskAwareTeacher, loader, models, pose_student, recipes
from kdkit_pose.convention import require_convention
from kdkit_pose.evaluation import predict
from kdkit_pose.export import to_onnx, to_safetensors
from kdkit_pose.fit import FitSettings, fit
from kdkit_pose.prediction import Predictor
from kdkit_pose.skeleton import COCO, CROWDPOSE
from kdkit_pose.teacher_check import check_teachers

CODEC = DARK(input_size=(32, 32))
OTHER = UDP(input_size=(32, 32))
SETTINGS = FitSettings(batch_size=2, cpu=True, progress=False)


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
    with pytest.raises(ConfigurationError, match="codec: udp and dark"):
        fit(
            small_network(activation="sigmoid"),
            recipes.supervised(until=1),
            data,
            tmp_path / "run",
            SETTINGS,
            codec=OTHER,
        )
    assert not (tmp_path / "run").exists()


@pytest.fixture
def file(small_network, tmp_path):
    """A network's file that names another codec than the data's."""
    models.save(small_network(), tmp_path / "other.safetensors", **OTHER.to_metadata(), **COCO.to_metadata())
    return tmp_path / "other.safetensors"


def test_however_it_is_loaded_a_network_knows_what_it_was_trained_for(file, small_network, tmp_path):
    network = small_network()
    assert (network.codec, network.skeleton, network.keypoints) == (None, None, None)
    models.load_checkpoint(network, file)
    for one in (network, models.load(file), models.create("hrnet_w8_small", checkpoint=file)):
        assert (one.codec, one.skeleton, one.keypoints) == (OTHER, COCO, COCO.keypoints)
    torch.save(network.state_dict(), tmp_path / "bare.pth")
    models.load_checkpoint(network, tmp_path / "bare.pth")
    assert (network.codec, network.skeleton, network.keypoints) == (None, None, None)
    network.codec = CODEC
    models.load_checkpoint(network, file, trunk_only=True)
    assert network.codec == CODEC


def test_a_known_network_is_not_used_as_anothers(file, tiny_people, tmp_path):
    data, network = tiny_people(codec=CODEC), models.load(file)
    evaluator = Evaluator(loader(data, 4), data.coco_dict(), CODEC)
    out = tmp_path / "out"
    uses = (
        lambda: evaluator(network),
        lambda: evaluator(torch.compile(network, backend="eager")),
        lambda: predict(network, list(loader(data, 4)), CODEC),
        lambda: Predictor(network, CODEC),
        lambda: to_safetensors(network, out, CODEC),
        lambda: to_onnx(network, out, CODEC),
        lambda: models.save(network, out, **CODEC.to_metadata()),
        lambda: models.save(network, out, codec="dark"),
        lambda: check_teachers({"primary": MaskAwareTeacher("primary", models.load(file))}, evaluator),
    )
    for use in uses:
        with pytest.raises(ConfigurationError, match=r"hrnet_w8_small was trained for UDP.*give network\.codec"):
            use()
    assert not out.exists()


def test_nor_for_other_keypoints(file, tmp_path, tiny_people):
    network, data = models.load(file), tiny_people(codec=OTHER)
    other = replace(COCO, name="turned", keypoints=tuple(f"point_{index}" for index in range(17)))
    for use in (
        lambda: predict(network, list(loader(data, 4)), OTHER, skeleton=other),
        lambda: Predictor(network, OTHER, other),
        lambda: to_safetensors(network, tmp_path / "out", OTHER, other),
        lambda: models.save(network, tmp_path / "out", **other.to_metadata()),
    ):
        with pytest.raises(ConfigurationError, match="number 1 is 'nose' there and 'point_0' here"):
            use()
    require_convention(network, OTHER, COCO)
    with pytest.raises(ConfigurationError, match="17 there and 14 here"):
        require_convention(network, OTHER, CROWDPOSE)


def test_what_is_known_is_saved_again_and_only_the_decoder_may_change(file, tmp_path):
    network = models.load(file)
    models.save(network, tmp_path / "again.safetensors")
    assert models.read_metadata(tmp_path / "again.safetensors") == models.read_metadata(file)
    discs = replace(OTHER, decoder="centroid")
    models.save(network, tmp_path / "discs.safetensors", **discs.to_metadata())
    assert models.load(tmp_path / "discs.safetensors").codec == discs
    with pytest.raises(ConfigurationError, match="names no codec"):
        models.save(models.create("hrnet_w8_small"), tmp_path / "half.safetensors", codec="udp")


def test_a_network_of_another_codec_is_trained_on_the_datas(file, tiny_people, tmp_path):
    data, network = tiny_people(codec=CODEC), models.load(file)
    evaluator = Evaluator(loader(data, 4), data.coco_dict(), CODEC, flip=False)
    settings = replace(SETTINGS, evaluate_every=1, ema=0.9)
    learned = replace(CODEC, decoder="centroid")
    result = fit(
        *(network, recipes.supervised(until=1, loss=losses.mse), data, tmp_path / "run", settings),
        evaluator=evaluator,
        codec=learned,
    )
    assert network.codec == models.load(result.student).codec == learned
    assert network.skeleton == data.skeleton
    assert evaluator(network)


def test_what_does_not_begin_to_train_stays_what_it_was(file, tiny_people, tmp_path):
    data, network = tiny_people(codec=CODEC), models.load(file)
    (tmp_path / "run").write_text("a file")
    with pytest.raises(Exception, match="run"):
        fit(network, recipes.supervised(until=1, loss=losses.mse), data, tmp_path / "run", SETTINGS)
    assert (network.codec, network.skeleton) == (OTHER, COCO)


def test_nobody_teaches_or_judges_by_another_codec(file, small_network, tiny_people, tmp_path):
    data, other = tiny_people(codec=CODEC), tiny_people(codec=OTHER)
    taught = recipes.fpd(MaskAwareTeacher("primary", models.load(file)), until=1)
    with pytest.raises(ConfigurationError, match=r"teacher 'primary' .*codec: udp and dark"):
        fit(small_network(activation="sigmoid"), taught, data, tmp_path / "run", SETTINGS)
    judged = Evaluator(loader(other, 4), other.coco_dict(), OTHER)
    with pytest.raises(ConfigurationError, match="codec: udp and dark"):
        fit(
            small_network(activation="sigmoid"),
            recipes.supervised(until=1),
            data,
            tmp_path / "run",
            SETTINGS,
            evaluator=judged,
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("part", ["metadata", "network"])
def test_a_trainer_alone_refuses_it_too(file, small_network, tiny_people, tmp_path, part):
    data = tiny_people(codec=CODEC)
    network = models.load(file) if part == "network" else small_network()

    def trainer(**options):
        return Trainer(
            Distiller(pose_student(network), recipes.supervised(until=1, learning_rate=1e-3)),
            loader(data, 4),
            optimizer=partial(torch.optim.Adam, lr=1e-3),
            out=tmp_path / "run",
            cpu=True,
            **options,
        )

    with pytest.raises(ConfigurationError, match=part):
        trainer(metadata=OTHER.to_metadata() if part == "metadata" else None)
    network.codec = CODEC
    trainer(metadata=replace(CODEC, decoder="centroid").to_metadata())


def test_a_codec_of_the_same_name_but_size_is_another(file):
    require_convention(models.load(file), replace(OTHER, decoder="centroid"))
    for other in (MSRA((32, 32)), UDP((64, 32)), UDP((32, 32), 3.0)):
        with pytest.raises(ConfigurationError, match="only the decoder may differ"):
            require_convention(models.load(file), other)
