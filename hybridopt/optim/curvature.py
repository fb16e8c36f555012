"""Products of the Hessian or the Gauss-Newton matrix with vectors.

They are computed by automatic differentiation without the matrix. A product costs a few backward
passes, and a stack of vectors shares them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.autograd import grad
from torch.autograd.graph import saved_tensors_hooks

from hybridopt._warnings import ignored_warnings
from hybridopt.errors import ArgumentError, HybridOptError, TrainingError
from hybridopt.optim.closure import BACKWARD_CALLED

MAX_ELEMENTS = 2**25  # of one stack of backward passes: 256 MiB in float64


class FlatParameters:
    """Parameters as one float64 vector; solving equations loses half of the digits."""

    def __init__(self, params: Sequence[Tensor]) -> None:
        self.params = list(params)
        self.sizes = [p.numel() for p in self.params]
        self.size = sum(self.sizes)
        self.device = self.params[0].device
        # relative rounding error of the least precise parameter
        self.resolution = max(torch.finfo(p.dtype).eps for p in self.params)

    def read(self) -> Float64[Tensor, " num_parameters"]:
        """Return a copy of the parameters."""
        return self.join([p.detach()[None] for p in self.params])[0]

    @torch.no_grad()
    def write(self, vector: Float64[Tensor, " num_parameters"]) -> None:
        """Set the parameters, each rounded to its own precision."""
        for p, piece in zip(self.params, self.split(vector[None]), strict=True):
            p.copy_(piece[0])

    def join(
        self, pieces: Sequence[Float[Tensor, "rows ..."]]
    ) -> Float64[Tensor, "rows num_parameters"]:
        """Concatenate tensors with the shapes of the parameters and a first axis of rows."""
        flattened = [
            piece.reshape(len(piece), size).to(self.device, torch.float64)
            for piece, size in zip(pieces, self.sizes, strict=True)
        ]
        return torch.cat(flattened, dim=1)

    def split(
        self, vectors: Float64[Tensor, "rows num_parameters"]
    ) -> list[Float[Tensor, "rows ..."]]:
        """Undo `join`: return tensors with shapes, precisions and devices of the parameters."""
        pieces = torch.split(vectors, self.sizes, dim=1)
        return [
            piece.reshape(len(vectors), *p.shape).to(p.device, p.dtype)
            for p, piece in zip(self.params, pieces, strict=True)
        ]


class Curvature(ABC):
    """Gradient and curvature of a loss at the current weights."""

    gradient: Float64[Tensor, " num_parameters"]  # gradient of the loss
    rows_at_once: int  # largest number of vectors in one stack

    @abstractmethod
    def products(
        self, vectors: Float64[Tensor, "rows num_parameters"]
    ) -> Float64[Tensor, "rows num_parameters"]:
        """Return the curvature matrix times each of the ``vectors``."""


class Hessian(Curvature):
    r"""Products with the Hessian, :math:`H v = \nabla (v^\top \nabla L)`.

    The cost is one backward pass at construction and one per stack of vectors.

    References:
        Pearlmutter, Neural Computation 6, 147 (1994).
    """

    def __init__(self, loss: Float[Tensor, ""], flat: FlatParameters) -> None:
        self._flat = flat
        saved = _SavedElements()
        with saved:
            self._gradients = _first_gradients(loss, flat, create_graph=True)
        self.gradient = _detached(self._gradients, flat)
        self.rows_at_once = saved.rows_at_once(flat.size)

    def products(
        self, vectors: Float64[Tensor, "rows num_parameters"]
    ) -> Float64[Tensor, "rows num_parameters"]:
        """Return the Hessian times each of the ``vectors``."""
        flat = self._flat
        return flat.join(vjp_rows(self._gradients, flat.params, flat.split(vectors)))


class GaussNewton(Curvature):
    r"""Products with the generalized Gauss-Newton matrix, :math:`G v = J^\top H_L J v`.

    :math:`J` is the Jacobian of the outputs with respect to the parameters, and :math:`H_L` is the
    Hessian of the loss with respect to the outputs. Therefore :math:`G` is positive semi-definite
    for every convex loss. :math:`J v` is the derivative of the linear map
    :math:`u \mapsto J^\top u`. Two backward passes compute it for every network with second
    derivatives. The cost is two backward passes at construction and two per stack of vectors.

    References:
        Schraudolph, Neural Computation 14, 1723 (2002).
    """

    def __init__(
        self, loss: Float[Tensor, ""], outputs: Float[Tensor, "*outputs"], flat: FlatParameters
    ) -> None:
        self._flat = flat
        self._outputs = outputs
        self.gradient = _detached(_first_gradients(loss, flat, create_graph=False), flat)
        found = None
        if outputs.requires_grad:
            found = grad(loss, outputs, create_graph=True, allow_unused=True)[0]
        if found is None:
            raise ArgumentError(
                "The loss of `closure` must depend on the outputs in (loss, outputs). Compute it "
                "from these outputs."
            )
        self._loss_gradient = found
        self._cotangent = torch.zeros_like(outputs, requires_grad=True)
        saved = _SavedElements()
        with saved:
            self._pulled_back = grad(
                outputs, flat.params, self._cotangent, create_graph=True, allow_unused=True
            )
        self.rows_at_once = saved.rows_at_once(flat.size)

    def products(
        self, vectors: Float64[Tensor, "rows num_parameters"]
    ) -> Float64[Tensor, "rows num_parameters"]:
        """Return the Gauss-Newton matrix times each of the ``vectors``."""
        flat = self._flat
        tangents = vjp_rows(self._pulled_back, [self._cotangent], flat.split(vectors))
        cotangents = vjp_rows([self._loss_gradient], [self._outputs], tangents)
        return flat.join(vjp_rows([self._outputs], flat.params, cotangents))


def matrix(curvature: Curvature) -> Float64[Tensor, "num_parameters num_parameters"]:
    """Return the symmetrised curvature matrix, in as few passes as memory allows."""
    chunks = torch.split(torch.diag(torch.ones_like(curvature.gradient)), curvature.rows_at_once)
    rows = torch.cat([finite_products(curvature, chunk) for chunk in chunks])
    return (rows + rows.T) / 2


def finite_products(
    curvature: Curvature, vectors: Float64[Tensor, "rows num_parameters"]
) -> Float64[Tensor, "rows num_parameters"]:
    """Return ``curvature.products``; raise an error for infinite second derivatives."""
    images = curvature.products(vectors)
    if not bool(images.isfinite().all()):
        raise TrainingError(
            "The second derivatives of the loss must be finite for a step of Newton. The weights "
            "are unchanged. Remove roots and norms at zero from the loss."
        )
    return images


def vjp_rows(
    tensors: Sequence[Tensor | None],
    inputs: Sequence[Tensor],
    cotangents: Sequence[Float[Tensor, "rows ..."]],
) -> list[Float[Tensor, "rows ..."]]:
    """Return vector-Jacobian products in one batched backward pass, or else row by row."""
    pairs = zip(tensors, cotangents, strict=True)
    live = [(t, c) for t, c in pairs if t is not None and t.requires_grad]
    num_rows = len(cotangents[0])
    if not live:
        return [x.new_zeros(num_rows, *x.shape) for x in inputs]
    alive, stack = [t for t, _ in live], [c for _, c in live]
    options: dict[str, bool] = {"retain_graph": True, "allow_unused": True}
    if num_rows > 1:
        try:
            # the fallback of torch is slow, but correct
            with ignored_warnings("There is a performance drop"):
                found = grad(alive, inputs, stack, is_grads_batched=True, **options)
            return [
                x.new_zeros(num_rows, *x.shape) if g is None else g
                for g, x in zip(found, inputs, strict=True)
            ]
        except HybridOptError:
            raise
        except RuntimeError:
            pass  # no batching rule or too little memory; other errors appear again below
    options["materialize_grads"] = True
    rows = [grad(alive, inputs, [c[row] for c in stack], **options) for row in range(num_rows)]
    return [torch.stack(column) for column in zip(*rows, strict=True)]


def _first_gradients(
    loss: Tensor, flat: FlatParameters, *, create_graph: bool
) -> Sequence[Tensor | None]:
    try:
        gradients: Sequence[Tensor | None] = grad(
            loss, flat.params, retain_graph=True, create_graph=create_graph, allow_unused=True
        )
    except RuntimeError as error:
        if "backward through the graph a second time" in str(error):
            raise ArgumentError(BACKWARD_CALLED) from error
        raise
    if all(g is None for g in gradients):
        raise ArgumentError(
            "The loss of `closure` must depend on a parameter of this optimizer. Create the "
            "optimizer from the trained network, after its conversion."
        )
    return gradients


def _detached(
    gradients: Sequence[Tensor | None], flat: FlatParameters
) -> Float64[Tensor, " num_parameters"]:
    pairs = zip(gradients, flat.params, strict=True)
    dense = [torch.zeros_like(p) if g is None else g.detach() for g, p in pairs]
    return flat.join([piece[None] for piece in dense])[0]


class _SavedElements(saved_tensors_hooks):
    """Counter of the elements that a pass stores for a pass through its graph."""

    def __init__(self) -> None:
        self.count = 0
        super().__init__(self._count, lambda tensor: tensor)

    def _count(self, tensor: Tensor) -> Tensor:
        self.count += tensor.numel()
        return tensor

    def rows_at_once(self, size: int) -> int:
        return max(1, MAX_ELEMENTS // max(size, self.count))
