"""Networks whose weights have a structure, and the law that their weights obey."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.nn.utils import spectral_norm as old_spectral_norm
from torch.nn.utils import weight_norm as old_weight_norm

from hybridopt.bridges import Generator, Memory, Mesh, RandomSubspace, Twin, WalshSubspace

DIRECT = {"memory": Memory(), "full": Memory(form="full"), "twin": Twin()}
FEW = {
    "sparse": Memory(num_angles=6),
    "generator": Generator(num_angles=5, residual=False),
    "random-subspace": RandomSubspace(num_parameters=6),
    "walsh-subspace": WalshSubspace(num_parameters=6),
}
MESH = {"mesh": Mesh()}
BRIDGES = {**DIRECT, **FEW, **MESH}
KEPT_BY_ALL, KEPT_BY_NONE = frozenset(BRIDGES), frozenset()
ROW, LIMIT = 2, 0.9  # padding row, and `max_norm`


class Words(nn.Module):
    """Embedding, then a linear layer."""

    def __init__(self, embedding: nn.Module) -> None:
        super().__init__()
        self.words, self.head = embedding, nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        found = self.words(x)
        return self.head(found.sum(1) if found.ndim == 3 else found)


class TiedWords(Words):
    """Embedding whose weight, with the padding row, is used by the output layer, too."""

    def __init__(self) -> None:
        super().__init__(nn.Embedding(5, 3, padding_idx=ROW))
        self.head = nn.Linear(3, 5)
        self.head.weight = self.words.weight


def dense() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def padded(kind: type[nn.Module] = nn.Embedding, **options) -> nn.Module:
    network = Words(kind(5, 3, padding_idx=ROW, **options))
    network.words.weight.data[ROW] = torch.tensor([0.0, -0.0, 0.1])
    return network


def changed(change: Callable[[nn.Sequential], object]) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        network = dense()
        change(network)
        return network

    return make


def masked(network: nn.Sequential) -> None:
    """Mask weights as `torch.nn.utils.prune` did before torch had it."""
    keep = torch.tensor([[1.0, 0.0, 1.0]] * 4)
    network[0].weight.data *= keep
    network[0].weight.register_hook(lambda gradient: gradient * keep)


def pruned(network: nn.Sequential) -> None:
    prune.random_unstructured(network[0], "weight", 0.5)
    prune.l1_unstructured(network[2], "bias", 1)


def pruned_twice(network: nn.Sequential) -> None:
    pruned(network)
    prune.ln_structured(network[0], "weight", 1, n=2, dim=0)


class Symmetric(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.triu() + x.triu(1).T


def symmetric() -> nn.Module:
    network = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2))
    parametrize.register_parametrization(network[0], "weight", Symmetric())
    return network


def doubled(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
    return 2 * output


def halved(module: nn.Module, gradients: tuple[Tensor], outputs: object) -> tuple[Tensor]:
    return (gradients[0] / 2,)


def hooked(network: nn.Sequential) -> None:
    network[0].register_forward_hook(doubled)
    network[2].register_full_backward_hook(halved)


def frozen(network: nn.Sequential) -> None:
    network[0].weight.requires_grad_(False)


def tied(network: nn.Sequential) -> None:
    network[2] = nn.Linear(3, 4)
    network[2].weight = nn.Parameter(network[0].weight.detach().clone())
    network[0].weight = network[2].weight
    network.insert(2, nn.Linear(4, 3))


@dataclass(frozen=True)
class Structure:
    """Network with a structure, a law that its weights obey, and the bridges that keep it."""

    make: Callable[[], nn.Module]
    holds: Callable[[nn.Module, nn.Module], bool]  # of network before and after
    kept: frozenset[str] = KEPT_BY_ALL
    named: str = ""  # pattern of the error elsewhere
    changes: str | None = None  # a parameter that training changes
    pickles: bool = True  # torch pickles it


def same_row(before: nn.Module, after: nn.Module) -> bool:
    rows = (network.words.weight.detach()[ROW].view(torch.int32) for network in (before, after))
    return torch.equal(*rows)  # the signs of zeros, too


def equal_row(before: nn.Module, after: nn.Module) -> bool:
    """Return whether a row with angles is equal up to the roundings of the full form."""
    rows = (network.words.weight.detach()[ROW] for network in (before, after))
    return torch.allclose(*rows, rtol=1e-6, atol=0)


def same_row_of_original(before: nn.Module, after: nn.Module) -> bool:
    return torch.equal(before.words.weight_orig[ROW], after.words.weight_orig[ROW])


def same_zeros(before: nn.Module, after: nn.Module) -> bool:
    zeros = before[0].weight == 0
    return bool(zeros.any()) and torch.equal(after[0].weight == 0, zeros)


def same_masks(before: nn.Module, after: nn.Module) -> bool:
    bias = torch.equal(after[2].bias == 0, before[2].bias == 0)
    mask = torch.equal(after[0].weight_mask, before[0].weight_mask)
    return same_zeros(before, after) and bias and mask


def normalised(before: nn.Module, after: nn.Module) -> bool:
    """Return whether the length of each row is the trained number g."""
    after[0](torch.ones(1, 3))  # computes the weight
    lengths = after[0].weight.norm(dim=1, keepdim=True)
    return torch.allclose(lengths, after[0].weight_g.abs(), atol=1e-6)


def divided(before: nn.Module, after: nn.Module) -> bool:
    """Return whether the weight is divided by the estimate u W v of its norm."""
    layer = after[0].eval()
    layer(torch.ones(1, 3))
    norm = layer.weight_u @ layer.weight_orig @ layer.weight_v
    return torch.allclose(layer.weight, layer.weight_orig / norm, atol=1e-6)


def is_symmetric(before: nn.Module, after: nn.Module) -> bool:
    return torch.equal(after[0].weight, after[0].weight.T)


def is_orthogonal(before: nn.Module, after: nn.Module) -> bool:
    return torch.allclose(after[0].weight.T @ after[0].weight, torch.eye(3), atol=1e-5)


def same_parametrization(before: nn.Module, after: nn.Module) -> bool:
    kinds = [type(m[0].parametrizations.weight[0]) for m in (before, after)]
    return kinds[0] is kinds[1]


def same_hooks(before: nn.Module, after: nn.Module) -> bool:
    names = ("_forward_hooks", "_backward_hooks", "_forward_pre_hooks")
    own = [[[*getattr(m, n).values()] for m in before.modules() for n in names]]
    own += [[[*getattr(m, n).values()] for m in after.modules() for n in names]]
    return own[0] == own[1] and len(after[0]._forward_hooks) == 1


def same_frozen(before: nn.Module, after: nn.Module) -> bool:
    return torch.equal(before[0].weight, after[0].weight) and not after[0].weight.requires_grad


def row_is_trained(before: nn.Module, after: nn.Module) -> bool:
    return after.head.weight is after.words.weight and not same_row(before, after)


def same_limit(before: nn.Module, after: nn.Module) -> bool:
    after(torch.arange(5)[:, None])  # torch limits the rows that are used
    return bool((after.words.weight.norm(dim=1) <= LIMIT + 1e-5).all())


NO_MESH = KEPT_BY_ALL - {*MESH}
STRUCTURES = {
    "padding": Structure(padded, same_row, changes="words.weight"),
    "padding-bag": Structure(lambda: padded(nn.EmbeddingBag), same_row, changes="words.weight"),
    "padding-by-frequency": Structure(
        lambda: padded(scale_grad_by_freq=True), same_row, changes="words.weight"
    ),
    "padding-pruned": Structure(
        lambda: Words(prune.random_unstructured(padded().words, "weight", 0.3)),
        same_row_of_original,
        changes="words.weight_orig",
        pickles=False,
    ),
    "padding-normalised": Structure(
        lambda: Words(parametrizations.weight_norm(padded().words)),
        equal_row,
        frozenset({*DIRECT, *MESH}),
        "`words` .*`padding_idx`",
        pickles=False,
    ),
    "padding-tied": Structure(TiedWords, row_is_trained, NO_MESH, "`head` .*`words`"),
    "limit": Structure(lambda: padded(max_norm=LIMIT), same_limit, changes="words.weight"),
    "sparse": Structure(lambda: padded(sparse=True), same_row, KEPT_BY_NONE, "`words` .*sparse"),
    "masked": Structure(
        changed(masked), same_zeros, frozenset(DIRECT), r"`0.weight` .*hook", "0.weight", False
    ),
    "hook-after": Structure(
        changed(lambda n: n[2].bias.register_post_accumulate_grad_hook(print)),
        same_zeros,
        KEPT_BY_NONE,
        "`2.bias` .*post-accumulate",
    ),
    "pruned": Structure(
        changed(pruned), same_masks, NO_MESH, "`0` .*pruning.*", "0.weight_orig", False
    ),
    "pruned-twice": Structure(
        changed(pruned_twice), same_masks, NO_MESH, "`0` .*pruning.*", "0.weight_orig", False
    ),
    "old-weight-norm": Structure(
        changed(lambda n: old_weight_norm(n[0])), normalised, NO_MESH, "`0` .*normal", "0.weight_v"
    ),
    "old-spectral-norm": Structure(
        changed(lambda n: old_spectral_norm(n[0])),
        divided,
        NO_MESH,
        "`0` .*normal",
        "0.weight_orig",
    ),
    "weight-norm": Structure(
        changed(lambda n: parametrizations.weight_norm(n[0])),
        same_parametrization,
        NO_MESH,
        "`0` .*ParametrizedLinear",
        "0.parametrizations.weight.original1",
        False,
    ),
    "spectral-norm": Structure(
        changed(lambda n: parametrizations.spectral_norm(n[0])),
        same_parametrization,
        NO_MESH,
        "`0` .*ParametrizedLinear",
        "0.parametrizations.weight.original",
        False,
    ),
    "orthogonal": Structure(
        changed(lambda n: parametrizations.orthogonal(n[0])),
        is_orthogonal,
        NO_MESH,
        "`0` .*ParametrizedLinear",
        "0.parametrizations.weight.original",
        False,
    ),
    "symmetric": Structure(symmetric, is_symmetric, NO_MESH, "`0` .*Parametrized", pickles=False),
    "bias": Structure(
        changed(lambda n: parametrize.register_parametrization(n[0], "bias", nn.Softplus())),
        lambda _, after: bool((after[0].bias > 0).all()),
        NO_MESH,
        "`0` .*ParametrizedLinear",
        pickles=False,
    ),
    "module-hooks": Structure(changed(hooked), same_hooks, changes="0.weight"),
    "frozen": Structure(changed(frozen), same_frozen, changes="2.weight"),
    "tied": Structure(
        changed(tied),
        lambda _, after: after[0].weight is after[3].weight,
        NO_MESH,
        "`0` .*`3`",
        "0.weight",
    ),
    "complex": Structure(
        changed(lambda n: n.register_parameter("phase", nn.Parameter(torch.ones(2) * 1j))),
        same_zeros,
        KEPT_BY_NONE,
        "`phase` .*complex64",
    ),
    "lazy": Structure(
        lambda: nn.Sequential(nn.LazyLinear(2)), same_zeros, KEPT_BY_NONE, "`0.weight`"
    ),
}
