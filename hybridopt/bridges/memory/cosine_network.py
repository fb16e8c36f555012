"""Networks whose weights are cosines of angles, whoever computes the cosines."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from hybridopt import _validation
from hybridopt.bridges.memory.autograd import (
    CosineReader,
    read_cosines,
    walsh_coefficients,
    walsh_sum,
)
from hybridopt.bridges.memory.circuit import index_qubits
from hybridopt.bridges.memory.walsh import walsh_columns
from hybridopt.bridges.parameter_layout import WeightLayout
from hybridopt.bridges.readout_cache import LastReading, is_own
from hybridopt.bridges.weight_network import WeightNetwork
from hybridopt.errors import ArgumentError, ConversionError
from hybridopt.execution import Metered

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

    @property
    def num_angles(self) -> int | None:
        """K of the sparse form; None is dense."""
        ...


class CosineNetwork(WeightNetwork):
    r"""A network with weights ``w0 + rho cos(theta)``, ``theta = pi/2 + delta``.

    In the dense form each delta is an angle of its own and trained. In the sparse form K angles z
    are trained and :math:`\delta = H_K z`, K columns of the Walsh matrix divided by
    :math:`\sqrt K`, which columns `hybridopt.circuits.walsh_columns` says.

    Args:
        network: The plain network.
        options: Form, scale, folding and number of angles.
        executor: Counts what is read, and holds the sampling stream.

    Raises:
        ArgumentError: If there are more angles than places in the circuit.
        ConversionError: If the form is full and has fewer.
    """

    columns: Tensor | None

    def __init__(self, network: nn.Module, options: CosineOptions, executor: Metered) -> None:
        layout = WeightLayout(network)
        form, scale = options.form, check_scale(options.scale)
        check_num_angles(options, layout.num_weights)
        scales = tensor_scales(layout, layout.tensors(network), form, scale)
        super().__init__(network, scales, keep_origin=form == "residual")
        self.options = options
        self.form = form
        self.fold_every_epoch = options.fold == "epoch"
        self.executor = executor
        angles = initial_angles(layout, network, scales, form)
        columns = None
        if options.num_angles is not None:
            numbers = walsh_columns(options.num_angles, layout.num_weights)
            columns = torch.from_numpy(numbers).to(angles.device)
            angles = walsh_coefficients(angles, columns, self.num_places)
        self.register_buffer("columns", columns, persistent=False)  # they follow from K and M
        self.angles = nn.Parameter(angles)
        self._last: LastReading[Tensor] = LastReading()

    @property
    @abstractmethod
    def reader(self) -> CosineReader:
        """What reads the cosines, with the executor that the network has now."""

    @property
    def num_places(self) -> int:
        """N, the smallest power of two that is M or more, and 2 or more."""
        return 1 << index_qubits(self.num_weights)

    def deltas(self) -> Float64[Tensor, " places"]:
        """The delta [rad] of each weight; in sparse form of all N places, weights first."""
        if self.columns is None:
            return self.angles
        return walsh_sum(self.angles, self.columns, self.num_places)

    def moves(self) -> Float64[Tensor, " M"]:
        """cos(theta) as it is read: afresh in training, else once per change of the angles."""
        if self.training or not is_own(self.angles):
            self._last.forget()
            return self._read(None)
        return self._read(self._last.recall_or(self.executor, self.angles, self._look))

    def remembered(self) -> dict[str, Tensor]:
        """What `eval` mode read, if it still holds."""
        known = self._last.recall(self.executor, self.angles)
        return {} if known is None else {"values": known}

    def remember(self, read: dict[str, Tensor]) -> None:
        """Take this for what was read at the present angles."""
        self._last.keep(self.executor, self.angles, read["values"])

    def exact_moves(self) -> Float64[Tensor, " M"]:
        """-sin(delta), 0 exactly where delta is."""
        return -torch.sin(self.deltas()[: self.num_weights])

    def _look(self) -> Tensor:
        """What is remembered of a reading."""
        return read_cosines(self.deltas(), self.reader)

    def _read(self, known: Tensor | None) -> Float64[Tensor, " M"]:
        return read_cosines(self.deltas(), self.reader, known)[: self.num_weights]

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


def check_trainable(num_angles: object, frozen: object) -> None:
    """Refuse a number of angles below 1, and a memory that would train nothing."""
    _validation.optional_integer("num_angles", num_angles, minimum=1)
    if _validation.boolean("frozen", frozen):
        raise ArgumentError(
            "frozen=True leaves nothing to train: angles are all that a memory has. Frozen "
            'circuits are a control where something else is trained, as in bridge="generator" '
            "and in DressedCircuit."
        )


def check_form(form: object, fold: object) -> None:
    """Refuse unknown forms, and folding where there is nothing to fold into."""
    _validation.choice("form", form, FORMS)
    if fold is not None:
        _validation.choice("fold", fold, ("epoch",))
        if form == "full":
            raise ConversionError(
                'fold="epoch" needs form="residual": the full form has no w0 to fold into.'
            )


def check_scale(scale: object) -> str | float | dict[str, float]:
    """The scale as plain floats; refused unless it is ``"auto"`` or positive numbers."""
    if isinstance(scale, str):
        return _validation.choice("scale", scale, ("auto",))
    if isinstance(scale, Mapping):
        return {
            name: _validation.real(f"scale[{name!r}]", value, minimum=0, strict=True)
            for name, value in scale.items()
        }
    return _validation.real("scale", scale, minimum=0, strict=True)


def check_num_angles(options: CosineOptions, num_weights: int) -> None:
    """Refuse more angles than places, and fewer in full form.

    Raises:
        ArgumentError: With the number of places N.
        ConversionError: In full form, whose weights would not fit.
    """
    if options.num_angles is None:
        return
    places = 1 << index_qubits(num_weights)
    if options.num_angles > places:
        raise ArgumentError(
            f"num_angles is {options.num_angles}, but the memory circuit of {num_weights} weights "
            f"has N = {places} angles. Give 1 to {places}, or None for an angle a weight."
        )
    if options.form == "full" and options.num_angles < places:
        raise ConversionError(
            f"num_angles is {options.num_angles}, but the full form of {num_weights} weights needs "
            f"all N = {places} angles, as fewer cannot hold any given weights. Use "
            'form="residual", or num_angles=None.'
        )


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
        _validation.choice("weight tensor in `scale`", name, known)
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
