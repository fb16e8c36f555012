"""Networks whose weights are cosines of angles, whoever computes the cosines."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from hybridopt import checks
from hybridopt.bridges.layout import WeightLayout
from hybridopt.bridges.weight_network import WeightNetwork
from hybridopt.errors import ConversionError
from hybridopt.execution import Metered
from hybridopt.nn import CosineReader, read_cosines

FORMS = ("residual", "full")
FULL_MARGIN = 1.5  # full form: the largest weight starts at sin(delta) = 2/3, away from the fold
LEAST_SCALE = 0.1  # a tensor of zeros (a new bias) shall be able to move, too


@runtime_checkable
class CosineOptions(Protocol):
    """What a bridge with cosines lets its user choose; the meaning is told in `Memory`."""

    @property
    def form(self) -> str:
        """``"residual"`` or ``"full"``."""
        ...

    @property
    def scale(self) -> str | float | Mapping[str, float]:
        """``"auto"``, one number, or numbers by name."""
        ...

    @property
    def fold(self) -> str | None:
        """``"epoch"`` or None."""
        ...


class CosineNetwork(WeightNetwork):
    """A network with weights ``w0 + rho cos(theta)``, ``theta = pi/2 + delta``; delta is trained.

    Args:
        network: The plain network.
        options: Form, scale and folding.
        executor: Counts what is read, and holds the sampling stream.
    """

    def __init__(self, network: nn.Module, options: CosineOptions, executor: Metered) -> None:
        layout = WeightLayout(network)
        form, scale = options.form, check_scale(options.scale)
        scales = tensor_scales(layout, layout.tensors(network), form, scale)
        super().__init__(network, scales, keep_origin=form == "residual")
        self.options = options
        self.form = form
        self.fold_every_epoch = options.fold == "epoch"
        self.executor = executor
        self.angles = nn.Parameter(initial_angles(layout, network, scales, form))
        self._last_read: tuple[Metered, Tensor, Tensor] | None = None

    @property
    @abstractmethod
    def reader(self) -> CosineReader:
        """What reads the cosines, with the executor that the network has now."""

    def moves(self) -> Float64[Tensor, " M"]:
        """cos(theta) as it is read: afresh in training, else once per change of the angles."""
        # functional_call and torch.func put tensors in the parameter's place: nothing to remember
        if self.training or self.angles.is_meta or not isinstance(self.angles, nn.Parameter):
            self._last_read = None
            return read_cosines(self.angles, self.reader)
        known = self._last_read
        if known is None or known[0] is not self.executor or not torch.equal(known[1], self.angles):
            with torch.no_grad():
                values = read_cosines(self.angles, self.reader)
            known = (self.executor, self.angles.detach().clone(), values)
            self._last_read = known
        return read_cosines(self.angles, self.reader, known[2])

    def exact_moves(self) -> Float64[Tensor, " M"]:
        """-sin(delta), 0 exactly where delta is."""
        return -torch.sin(self.angles)

    @torch.no_grad()
    def fold(self) -> None:
        """Move the trained weights into ``w0`` and set every angle back to its start.

        Raises:
            ConversionError: In full form, which has no ``w0``.
        """
        if self.form == "full":
            raise ConversionError(
                'The full form has no w0 to fold into. Use form="residual" to fold weights.'
            )
        weights = self.weights(self.exact_moves())
        for origin, tensor in zip(self.origin.buffers(), weights, strict=True):
            origin.copy_(tensor)
        self.angles.zero_()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_last_read": None}


def check_form(form: object, fold: object) -> None:
    """Refuse unknown forms, and folding where there is nothing to fold into."""
    checks.choice("form", form, FORMS)
    if fold is not None:
        checks.choice("fold", fold, ("epoch",))
        if form == "full":
            raise ConversionError(
                'fold="epoch" needs form="residual": the full form has no w0 to fold into.'
            )


def check_scale(scale: object) -> str | float | dict[str, float]:
    """The scale as plain floats; refused unless it is ``"auto"`` or positive numbers."""
    if isinstance(scale, str):
        return checks.choice("scale", scale, ("auto",))
    if isinstance(scale, Mapping):
        return {
            name: checks.real(f"scale[{name!r}]", value, minimum=0, strict=True)
            for name, value in scale.items()
        }
    return checks.real("scale", scale, minimum=0, strict=True)


def tensor_scales(
    layout: WeightLayout,
    tensors: list[Tensor],
    form: str,
    scale: str | float | Mapping[str, float],
) -> list[float]:
    """One scale a weight tensor.

    Raises:
        UnknownNameError: If a name in ``scale`` is no weight tensor of the network.
        ConversionError: If, in full form, a given scale is smaller than a weight of its tensor.
    """
    given = scale if isinstance(scale, Mapping) else {}
    known = [name for slot in layout.slots for name in slot.names]
    for name in given:
        checks.choice("weight tensor in `scale`", name, known)
    scales = []
    for slot, tensor in zip(layout.slots, tensors, strict=True):
        largest, natural = _largest_and_natural(tensor)
        automatic = max(FULL_MARGIN * largest, natural) if form == "full" else natural
        named = [given[name] for name in slot.names if name in given]
        fixed = named if isinstance(scale, str | Mapping) else [scale]
        if fixed and form == "full" and fixed[0] < largest:
            raise ConversionError(
                f"The scale of `{slot.name}` is {fixed[0]:g}, smaller than its largest weight "
                f'{largest:g}, which the full form cannot hold. Raise it, or use scale="auto".'
            )
        scales.append(fixed[0] if fixed else min(automatic, sys.float_info.max))
    return scales


def initial_angles(
    layout: WeightLayout, network: nn.Module, scales: list[float], form: str
) -> Float64[Tensor, " M"]:
    """The angles delta at the start [rad]: 0 in residual form, -arcsin(w / rho) in full form."""
    tensors = layout.tensors(network)
    if form == "residual":
        return torch.zeros(layout.num_weights, dtype=torch.float64, device=tensors[0].device)
    ratios = [tensor.double() / scale for tensor, scale in zip(tensors, scales, strict=True)]
    return -torch.arcsin(layout.join(ratios).clamp(-1, 1))


def _largest_and_natural(tensor: Tensor) -> tuple[float, float]:
    """Largest absolute weight, and root mean square but at least `LEAST_SCALE`; never overflows."""
    largest = float(tensor.double().abs().max()) if tensor.numel() else 0.0
    if largest == 0.0:
        return 0.0, LEAST_SCALE
    rms = largest * float((tensor.double() / largest).square().mean().sqrt())
    return largest, max(LEAST_SCALE, rms)
