"""Feature distillation on HRNet: features are returned, an adaptor stands beside the student."""

import torch
from torch import nn

from kdkit import Adaptor, Curriculum, Distill, Distiller, Epochs, Stage, Student, Supervise, losses
from kdkit_pose import MaskAwareTeacher, models


def test_a_feature_is_distilled_through_an_adaptor_that_the_export_lacks():
    torch.manual_seed(0)
    teacher = MaskAwareTeacher(
        "wide", models.create("hrnet_w12_small", features=("stage3",)), outputs=("heatmap", "stage3")
    )
    network = models.create("hrnet_w8_small", features=("stage3",))
    student = Student(
        network,
        outputs=("heatmap", "stage3"),
        adaptors={"stage3 as wide": Adaptor("stage3", nn.Conv2d(8, 12, 1))},
    )
    stage = Stage(
        "features",
        [
            Supervise("heatmap", losses.mse, region="visible"),
            Distill(teacher, "stage3 as wide", losses.cosine, target="stage3", weight=0.1),
        ],
        until=Epochs(1),
    )
    distiller = Distiller(student, Curriculum(stage))
    batch = {
        "image": torch.randn(2, 3, 32, 32),
        "heatmap": torch.rand(2, 17, 8, 8),
        "visible": torch.ones(2, 17),
    }
    distiller(batch).total.backward()
    assert all(parameter.grad is not None for parameter in student.parameters())
    assert network.state_dict().keys() == models.create("hrnet_w8_small").state_dict().keys()
