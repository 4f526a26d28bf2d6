"""Making a teacher fast: folded, cast, compiled, and compared with what it was."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from kdkit.batch import Batch, as_names, read_fields
from kdkit.ensemble_teacher import EnsembleTeacher
from kdkit.errors import ConfigurationError
from kdkit.fast_network import CompiledNetwork, FastNetwork
from kdkit.fast_teachers import Conversion, FastTeacher
from kdkit.module_teacher import ModuleTeacher
from kdkit.teacher import Teacher
from kdkit.teacher_agreement import TeacherAgreement
from kdkit.transformed_teacher import TransformedTeacher
from kdkit.transforms import TargetTransform

TOLERANCES = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""The largest difference to float32 that is taken for rounding, as a share of the output's range.

bfloat16 keeps 8 bits of a number, so that one rounding is up to 1/512 of it; 5 % are 25 of these, as many as some
hundred layers in a row add up to at random. float16 keeps 3 bits more; so do convolutions of float32 by TF32, as a
GPU computes them by default, and 1 % holds for both. float32 itself has room for another order of sums.
"""


def fast_teacher(
    teacher: Teacher,
    batch: Batch,
    *,
    dtype: torch.dtype | Literal["auto"] = "auto",
    channels_last: bool = True,
    fold_batchnorm: bool = True,
    compile: bool | Mapping[str, Any] = True,
    outputs: str | Sequence[str] | None = None,
    tolerance: float | None = None,
) -> FastTeacher:
    """Return a teacher that gives a teacher's targets faster, after it was compared with it in float32.

    The network is copied, so that the given teacher is unchanged: the weights are held twice until nothing refers
    to it any more. Of a :class:`~kdkit.TransformedTeacher`, a :class:`~kdkit.transforms.Standardize` that is
    the last thing done to an input goes into the first convolution, exactly also at the border. Of an
    :class:`~kdkit.EnsembleTeacher` each member is made fast; one that is no frozen network stays as it is.

    Args:
        teacher: a :class:`~kdkit.ModuleTeacher`, or one made of such.
        batch: a real batch of the size that training uses, on the device that is to run the teacher.
        dtype: what to cast the weights to, once; ``auto`` is bfloat16 on a GPU that computes in it (compute
            capability 8.0 or higher), else float32. Targets are float32 in any case.
        channels_last: keep weights and images in the memory format that GPUs and CPUs convolve fastest.
        fold_batchnorm: fold BatchNorms into the convolutions before them, where that is certainly safe.
        compile: run the network by ``torch.compile``, as one graph where that is possible, and as it is where
            that fails, as without a C++ compiler; a mapping gives options for ``torch.compile``.
        outputs: the targets that are needed; all by default. What only the others need is compiled away.
        tolerance: the largest difference to float32 that is accepted, as a share of an output's range on the
            batch; by default what :data:`~kdkit.making_fast.TOLERANCES` says of the type.

    Raises:
        ConfigurationError: if the teacher is of another kind, has not such outputs, or differs by more than the
            tolerance from what it gives in float32.
        BatchError: if the batch lacks a field.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1, bias=False), nn.BatchNorm2d(5))
        >>> teacher = ModuleTeacher("primary", network, inputs="image", outputs="heatmap")
        >>> fast = fast_teacher(teacher, {"image": torch.rand(2, 3, 16, 12)}, compile=False)
        >>> fast.conversions[0].folding, fast.agreement.outputs["heatmap"].relative < 1e-4
        (Folding(batchnorms=1, folded=1), True)
    """
    wanted = teacher.outputs if outputs is None else as_names(outputs)
    if not wanted or any(name not in teacher.outputs for name in wanted):
        raise ConfigurationError(
            f"teacher '{teacher.name}' gives the outputs {list(teacher.outputs)}, {list(wanted)} were asked for"
        )
    if dtype != "auto" and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise ConfigurationError(f"teacher '{teacher.name}': dtype={dtype!r} must be 'auto' or a floating type")
    options = {} if compile is True else compile or None
    maker = _Maker(dtype, channels_last, fold_batchnorm, options, tolerance)
    return maker.make(teacher, batch, wanted)


@dataclass(frozen=True)
class _Maker:
    """Makes teachers fast, by the arguments of :func:`fast_teacher`; ``options`` are None without a compiler."""

    dtype: torch.dtype | Literal["auto"]
    channels_last: bool
    fold_batchnorm: bool
    options: Mapping[str, Any] | None
    tolerance: float | None

    def make(self, teacher: Teacher, batch: Batch, outputs: Sequence[str]) -> FastTeacher:
        """Return a teacher that gives some of a teacher's outputs."""
        if (fault := _fault(teacher)) is not None:
            raise ConfigurationError(f"{fault}: it cannot be made fast, use it as it is")
        if isinstance(teacher, TransformedTeacher):
            return self._make_transformed(teacher, batch, outputs)
        if isinstance(teacher, EnsembleTeacher):
            return self._make_ensemble(teacher, batch, outputs)
        return self._make_network(cast(ModuleTeacher, teacher), batch, outputs, {})

    def _make_transformed(self, teacher: TransformedTeacher, batch: Batch, outputs: Sequence[str]) -> FastTeacher:
        inner, inputs = teacher.teacher, teacher.input_transforms
        around = copy.copy(teacher)
        around.output_transforms = {
            name: how for name, how in teacher.output_transforms.items() if name in outputs
        }
        if isinstance(inner, ModuleTeacher):
            fast = self._make_network(inner, batch, outputs, inputs)
            around.input_transforms = {}
        else:
            fast = self.make(inner, {**batch, **{name: how(batch[name]) for name, how in inputs.items()}}, outputs)
        around.teacher, around.outputs = fast, fast.outputs
        return FastTeacher(
            teacher, around, outputs, replace(fast.agreement, teacher=teacher.name), fast.conversions
        )

    def _make_ensemble(self, teacher: EnsembleTeacher, batch: Batch, outputs: Sequence[str]) -> FastTeacher:
        needed = [name for name in teacher.outputs if name in outputs or name == teacher.score_on]
        fast: dict[Teacher, FastTeacher] = {
            member: self.make(member, batch, needed)
            for member in dict.fromkeys(teacher.teachers)
            if _fault(member) is None
        }
        around = copy.copy(teacher)
        around.teachers = tuple(fast.get(member, member) for member in teacher.teachers)
        around.outputs = tuple(needed)
        agreed = {
            f"{one.name}/{name}": found for one in fast.values() for name, found in one.agreement.outputs.items()
        }
        conversions = [conversion for one in fast.values() for conversion in one.conversions]
        return FastTeacher(teacher, around, outputs, TeacherAgreement(teacher.name, agreed), conversions)

    def _make_network(
        self,
        teacher: ModuleTeacher,
        batch: Batch,
        outputs: Sequence[str],
        transforms: Mapping[str, TargetTransform],
    ) -> FastTeacher:
        fields = read_fields(batch, teacher.reads, f"teacher '{teacher.name}'")
        device = fields[0].device
        # A network that is compiled already is copied without its compiled form.
        module = copy.deepcopy(getattr(teacher.module, "_orig_mod", teacher.module)).to(device)
        expected = _run_plainly(teacher, module, batch, transforms)
        network = FastNetwork(teacher, module, outputs, transforms)
        folding = network.fold([value[:1] for value in fields], batchnorms=self.fold_batchnorm)
        dtype = self._dtype_on(device)
        network.cast(dtype, channels_last=self.channels_last)
        runs, failure = self._compiled(teacher, network, batch, outputs)
        conversion = Conversion(
            teacher.name, dtype, folding, self.options is not None and failure is None, failure
        )
        agreement = TeacherAgreement.measure(teacher.name, expected, runs.targets(batch))
        self._require_agreement(agreement, conversion, device)
        return FastTeacher(teacher, runs, outputs, agreement, [conversion])

    def _dtype_on(self, device: torch.device) -> torch.dtype:
        if self.dtype != "auto":
            return self.dtype
        pays = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
        return torch.bfloat16 if pays else torch.float32

    def _compiled(
        self, teacher: ModuleTeacher, network: FastNetwork, batch: Batch, outputs: Sequence[str]
    ) -> tuple[ModuleTeacher, str | None]:
        plain = ModuleTeacher(teacher.name, network, teacher.reads, outputs)
        if self.options is None:
            return plain, None
        compiled = CompiledNetwork(network, self.options)
        runs = ModuleTeacher(teacher.name, compiled, teacher.reads, outputs)
        runs.targets(batch)
        return (runs, None) if compiled.failure is None else (plain, compiled.failure)

    def _require_agreement(
        self, agreement: TeacherAgreement, conversion: Conversion, device: torch.device
    ) -> None:
        tolerance = self.tolerance
        if tolerance is None:
            # The type checker does not know of `conv`.
            tf32 = torch.backends.cudnn.conv.fp32_precision == "tf32"  # type: ignore[attr-defined]
            by_tf32 = device.type == "cuda" and tf32
            like = torch.float16 if conversion.dtype == torch.float32 and by_tf32 else conversion.dtype
            tolerance = TOLERANCES.get(like, TOLERANCES[torch.bfloat16])
        for name, found in agreement.outputs.items():
            if not found.relative <= tolerance:  # also where it is NaN
                raise ConfigurationError(
                    f"teacher '{agreement.teacher}', made fast ({conversion}), gives '{name}' that differs "
                    f"from float32's by up to {found.largest:.3g}, which is {found.relative:.3g} of the output's "
                    f"range and above the tolerance {tolerance:g}: {_remedy(conversion)}"
                )


def _fault(teacher: Teacher) -> str | None:
    """Return why a teacher cannot be made fast, or None where it can."""
    kind = f"teacher '{teacher.name}' is a {type(teacher).__name__}"
    if isinstance(teacher, TransformedTeacher):
        return _fault(teacher.teacher)
    if isinstance(teacher, EnsembleTeacher):
        faults = [_fault(member) for member in teacher.teachers]
        return f"{kind} without a member that is a frozen network" if all(faults) else None
    if not isinstance(teacher, ModuleTeacher):
        return f"{kind}, and neither a ModuleTeacher nor a TransformedTeacher or EnsembleTeacher of such"
    if type(teacher).targets is not ModuleTeacher.targets:
        return f"{kind}, which gives its targets in its own way, as a copy of its network would not"
    return None


def _run_plainly(
    teacher: ModuleTeacher, module: nn.Module, batch: Batch, transforms: Mapping[str, TargetTransform]
) -> dict[str, Tensor]:
    """Cast a teacher's copied network to float32 and return what it gives, before anything else is changed."""
    places = teacher.features.places
    plain = ModuleTeacher(
        teacher.name, module, teacher.reads, teacher.module_outputs, features=places, dtype=torch.float32
    )
    return TransformedTeacher(plain, inputs=transforms).targets(batch)


def _remedy(conversion: Conversion) -> str:
    tries = ["dtype=torch.float32"] if conversion.dtype != torch.float32 else []
    tries += ["fold_batchnorm=False"] if conversion.folding.folded else []
    tries += ["compile=False"] if conversion.compiled else []
    return f"try {', then '.join([*tries, 'a larger tolerance where it is known not to matter'])}"
