r"""The mesh bridge: the data pass through circuits that stand for Linear and Conv2d layers.

Each layer is ``W' = [W b]`` on ``x' = (x, 1)``, and :math:`W'/\alpha` a mesh of rotations between
neighbouring modes with exactly one angle a weight (`hybridopt.bridges.mesh.decomposition`), on
``max(m, n) + min(m, n)`` qubits for a matrix ``(m, n)``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from hybridopt import _validation
from hybridopt.bridges.base import Bridge, shots_and_seed
from hybridopt.bridges.mesh.closed_form import ClosedFormMesh
from hybridopt.bridges.mesh.layer_selection import layers_to_carry
from hybridopt.bridges.mesh.layers import MeshLayer, mesh_layer, shape_of
from hybridopt.bridges.mesh.network import MakeLayer, MeshNetwork, MeshTwinNetwork
from hybridopt.bridges.mesh.readout import MeshReader
from hybridopt.bridges.mesh.readout_selection import READOUTS
from hybridopt.errors import ArgumentError, ArgumentTypeError, ResourceError
from hybridopt.execution import Executor
from hybridopt.gradients import GradientRule, ParameterShift

LARGEST_SCALE = 1e4  # W comes back to about 1e-16 of scale times its norm


@dataclass(frozen=True)
class Mesh(Bridge):
    r"""Options of the mesh bridge.

    Every `Linear` and `Conv2d` becomes a mesh, other layers stay classical. Layers that multiply by
    a matrix and have no circuit form here (recurrent ones, attention, other convolutions) are
    refused unless they are kept classical; so are frozen ones, by themselves.

    Attributes:
        keep_classical: Names of layers, as `named_modules` gives them, that stay classical with all
            that is in them.
        readout: ``"process"`` reads the columns of each matrix, n settings whatever the batch;
            ``"data"`` sends every vector through, one setting each; ``"auto"`` takes what costs
            fewer settings for the batch that comes. ``"reference"`` is data readout beside
            reference modes that betray errors, for executors with noise.
        scale: alpha in units of the spectral norm of W', so that the matrix can grow; 1 to 10,000
            (a layer of zeros takes 1 for its norm). ``"auto"`` is 3, of a norm of at least 2:
            training has to get from a fresh layer of small weights to outputs of several units.
            With shots, the error of an output is about :math:`\alpha |x'| / \sqrt{shots}`.

    Example:
        >>> from hybridopt.bridges import Mesh
        >>> import torch, hybridopt as ho
        >>> layers = torch.nn.Conv2d(1, 2, 2), torch.nn.Flatten(), torch.nn.Linear(8, 3)
        >>> quantum = ho.to_quantum(torch.nn.Sequential(*layers), Mesh(keep_classical=("2",)))
        >>> quantum.num_qubits, quantum.num_angles
        (7, 10)
    """

    name: ClassVar[str] = "mesh"

    keep_classical: tuple[str, ...] = ()
    readout: str = "auto"
    scale: str | float = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "keep_classical", _names(self.keep_classical))
        _validation.choice("readout", self.readout, READOUTS)
        if isinstance(self.scale, str):
            _validation.choice("scale", self.scale, ("auto",))
        else:
            object.__setattr__(self, "scale", _validation.real("scale", self.scale, minimum=1))
            if self.scale > LARGEST_SCALE:
                raise ArgumentError(
                    f"Argument `scale` must be {LARGEST_SCALE:g} or less, but is {self.scale:g}: "
                    "rounding errors grow with it. 2 to 10 leave room to grow."
                )

    def check(self, network: nn.Module) -> None:
        """Refuse a network with layers that have no circuit form, or with none that has one.

        Raises:
            ConversionError: With the name of the layer and the way out.
            UnknownNameError: If a name in ``keep_classical`` is no layer.
        """
        super().check(network)
        layers_to_carry(network, self.keep_classical)

    def encode(
        self, network: nn.Module, *, executor: Executor, gradient: GradientRule
    ) -> MeshNetwork:
        """Carry the layers of a network into circuits; the network is left as it is.

        Raises:
            ResourceError: If a mesh does not fit into the executor's memory, with its name.
            UnsupportedError: If gradient rule and executor do not go together.
        """
        return MeshNetwork(network, self.keep_classical, self._maker(executor, gradient))

    def twin(self, network: nn.Module, *, executor: Executor) -> MeshTwinNetwork:
        """The same angles in torch: exact, or with shots numbers of the same law.

        Raises:
            UnsupportedError: If the executor has noise, which has no formula here.
        """
        formula = ClosedFormMesh(*shots_and_seed(executor, "a mesh"))
        return MeshTwinNetwork(network, self.keep_classical, self._maker(formula, ParameterShift()))

    def _maker(self, executor: Executor, gradient: GradientRule) -> MakeLayer:
        def make(name: str, layer: nn.Module) -> MeshLayer:
            assert isinstance(layer, nn.Linear | nn.Conv2d)
            _check_fits(name, MeshReader(shape_of(layer), executor, gradient), self.readout)
            return mesh_layer(
                layer, scale=self.scale, readout=self.readout, executor=executor, gradient=gradient
            )

        return make


def _check_fits(name: str, reader: MeshReader, readout: str) -> None:
    feeds = {"auto": ("process", "data")}.get(readout, (readout,))
    mesh = reader.mesh
    try:
        for feed in feeds:
            reader.check_width(feed)
            reader.check(feed)
    except ResourceError as error:
        where = f"Layer `{name}`" if name else "The network"
        raise ResourceError(
            f"{where}, a mesh of {mesh.num_outputs} by {mesh.num_inputs}: {error} Another way: "
            f'AerExecutor(method="matrix_product_state"){_keeping(name)}.'
        ) from error


def _keeping(name: str) -> str:
    return f", or keep the layer classical: keep_classical=['{name}']" if name else ""


def _names(given: object) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ArgumentTypeError(
            f"Argument `keep_classical` must be a list of names of layers, but is {given!r}."
        )
    names = tuple(given)
    for name in names:
        if not isinstance(name, str):
            raise ArgumentTypeError(
                f"Argument `keep_classical` must hold names of layers, but holds {name!r} of type "
                f"{type(name).__name__}."
            )
    return names
