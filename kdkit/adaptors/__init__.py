"""Adaptors: trainable modules beside the student that bring its outputs to a teacher's form.

They are trained with the student and never exported. Any module will do; those a method needs are here:

>>> import torch
>>> from kdkit import Student
>>> from kdkit.adaptors import Adaptor, MaskedGeneration
>>> generated = Adaptor("neck", MaskedGeneration(channels_in=16, channels_out=32))
>>> student = Student(torch.nn.Conv2d(3, 16, 1), outputs="neck", adaptors={"generated": generated})
>>> student({"image": torch.zeros(2, 3, 8, 8)})["generated"].shape
torch.Size([2, 32, 8, 8])
"""

from kdkit.adaptors.adaptor import Adaptor, ResizeTo
from kdkit.adaptors.masked_generation import MaskedGeneration

__all__ = ["Adaptor", "MaskedGeneration", "ResizeTo"]
