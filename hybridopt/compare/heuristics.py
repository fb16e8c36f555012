"""The function `recommend`: rules for a method without a study.

`RULES` has the methods with reasons and references, `_rule` has the order and conditions. No rule
recommends a bridge: without shots, a bridge equals a formula in torch, so its simulation only costs
time.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from hybridopt.bridges.memory.circuit import index_qubits
from hybridopt.compare.recommendation import Recommendation
from hybridopt.compare.resampling import NetworkSource, draw_network
from hybridopt.data import Dataset, as_dataset, load_dataset
from hybridopt.errors import ArgumentError
from hybridopt.execution import Executor
from hybridopt.training.batches import part_batches
from hybridopt.training.loop import executors_of
from hybridopt.training.objective import choose_loss
from hybridopt.training.sanity_check import check_fit

NEWTON_WEIGHTS = 2_000  # the Hessian of M weights has M^2 entries: 32 MB in double precision
LBFGS_WEIGHTS = 10_000
LBFGS_SAMPLES = 10_000
GPU_WEIGHTS = 1_000_000  # below it, the transfer to a GPU takes longer than a step

KINGMA = "Kingma and Ba, Adam, arXiv:1412.6980"
NOCEDAL = "Nocedal and Wright, Numerical Optimization (2006), sections 3.3 and 7.2"
SKLEARN = "scikit-learn, MLPClassifier: solver lbfgs for small datasets"
BOTTOU = "Bottou, Curtis, Nocedal, arXiv:1606.04838, section 3"
SHOTS = "Sweke et al., Quantum 4, 314 (2020), arXiv:1910.01155"
ADJOINT = "Jones and Gacon, arXiv:2009.02823"

RULES = {
    "shots": ("adam", "the circuits of the network are measured with shots, so gradients are "
              "noisy, which disturbs line searches and estimates of the curvature.",
              (SHOTS, KINGMA)),
    "circuits": ("adam", "steps with circuits are expensive, and steps on minibatches make more "
                 "progress than steps on all samples. In exact simulation, "
                 'gradient="adjoint" is the cheapest.', (ADJOINT, KINGMA)),
    "quadratic": ("newton", "the squared error of a linear network is quadratic, so Newton's "
                  "method needs one step.", (NOCEDAL,)),
    "convex": ("newton", "the cross entropy of a linear network is convex and its Hessian is "
               "small, so Newton's method needs a few damped steps.", (NOCEDAL,)),
    "small": ("lbfgs", "for a small smooth regression, steps on all samples are cheap, and the "
              "curvature saves steps.", (SKLEARN, NOCEDAL)),
    "other": ("adam", "steps on minibatches train faster than steps on all samples, and Adam's "
              "default learning rate is robust.", (KINGMA, BOTTOU)),
}  # fmt: skip


@dataclass(frozen=True)
class ProblemFacts:
    """Properties of the problem that the rules use."""

    weights: int  # number of trainable parameters, M
    samples: int  # number of training samples, n
    task: str
    linear: bool  # True if the outputs are an affine function of the weights
    circuits: bool = False  # True for a network with circuits
    shots: bool = False  # True if the circuits are measured with shots
    gpu: bool = False


def recommend(network: NetworkSource, data: object) -> Recommendation:
    """Recommend a method by rules, without training; `Study.recommend` uses finished runs.

    Args:
        network: Network, function without arguments that makes one, or text such as
            ``"mlp:64-20-10"``.
        data: Name of a dataset, path of a CSV file, or samples in a form of `compare`.

    Returns:
        Method, reason and references. See `hybridopt.compare.heuristics` for the rules.

    Raises:
        ArgumentError: If the network has no trainable parameter.
        DataError: If the data do not fit the network.

    Example:
        >>> import torch, hybridopt as ho
        >>> choice = ho.recommend(torch.nn.Linear(10, 1), "diabetes")
        >>> choice.method
        'newton'
    """
    named = isinstance(data, str | os.PathLike)
    dataset = load_dataset(data) if named else as_dataset(data)  # type: ignore[arg-type]
    lazy = isinstance(network, nn.Module) and any(map(is_lazy, network.parameters()))
    if lazy or not isinstance(network, nn.Module):
        network = draw_network(network, dataset, 0)
    return first_choice(facts_of(network, dataset))


def facts_of(network: nn.Module, data: Dataset) -> ProblemFacts:
    """Return the properties of network, data and machine."""
    trained = [p for p in network.parameters() if p.requires_grad]
    if not trained:
        raise ArgumentError("`network` must have parameters that are not frozen.")
    typed = as_dataset(data, dtype=next((p.dtype for p in trained if p.is_floating_point()), None))
    largest = int(typed.train.y.max()) if typed.task == "classification" else None
    check_fit(network, next(part_batches(typed.train, 32)), choose_loss(None, typed.task), largest)
    executors = [one for one in executors_of(network) if isinstance(one, Executor)]
    return ProblemFacts(
        weights=sum(p.numel() for p in trained),
        samples=len(data.train),
        task=data.task,
        linear=is_linear(network),
        circuits=bool(executors),
        shots=any(executor.shots is not None for executor in executors),
        gpu=torch.cuda.is_available(),
    )


def is_linear(network: nn.Module) -> bool:
    """Return whether the network is one affine layer with nothing non-linear beside it."""
    # derived classes may be non-linear; two linear layers are not linear in their weights
    passing = (nn.Sequential, nn.Flatten, nn.Identity)
    for m in network.modules():
        if "forward" in vars(m) or m._forward_hooks or m._forward_pre_hooks:
            return False
    others = [m for m in network.modules() if type(m) not in passing]
    return len(others) == 1 and type(others[0]) in (nn.Linear, nn.Conv1d, nn.Conv2d)


def first_choice(facts: ProblemFacts) -> Recommendation:
    """Apply the rules to a problem."""
    method, why, sources = RULES[_rule(facts)]
    size = f"{facts.weights:,} parameters, {facts.samples:,} samples"
    reason = f"{size}: {why} {_hardware(facts)}{_bridges(facts)}"
    return Recommendation(method, reason.strip(), candidates=(method,), sources=sources)


def _rule(s: ProblemFacts) -> str:
    small = s.weights <= LBFGS_WEIGHTS and s.samples <= LBFGS_SAMPLES
    if s.circuits:
        return "shots" if s.shots else "circuits"
    if s.linear and s.weights <= NEWTON_WEIGHTS:
        return "quadratic" if s.task == "regression" else "convex"
    return "small" if s.task == "regression" and small else "other"


def _hardware(s: ProblemFacts) -> str:
    if s.gpu and s.weights >= GPU_WEIGHTS and not s.circuits:
        return 'A GPU is available and saves time at this size: fit(..., device="cuda"). '
    if s.gpu:
        return "A GPU is available, but the transfer costs more than it saves at this size. "
    return ""


def _bridges(s: ProblemFacts) -> str:
    if s.circuits:
        return "Use `compare` with a classical network of the same size to check for an advantage."
    qubits = index_qubits(s.weights) + 1
    return (
        "No bridge is recommended for speed or accuracy: without shots, it equals a formula in "
        f'torch. For a study, "memory+adam" needs {qubits} qubits and two settings per step; '
        'compare it with its control "twin+adam".'
    )
