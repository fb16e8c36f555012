"""Suggestions for misspelt names and for names of other libraries."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest
import torch

import hybridopt as ho
from hybridopt._suggestions import ELSEWHERE, FOREIGN, did_you_mean, explain_arguments
from hybridopt.compare import Study
from hybridopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    HybridOptError,
    MissingAttributeError,
    UnknownArgumentError,
    UnknownNameError,
)
from hybridopt.qiskit_ml import AerEstimator, AerSampler, AerSamplerGradient

pytestmark = pytest.mark.wrong_types
CALLS = {
    "fit": lambda **given: ho.fit(torch.nn.Linear(4, 3), "unused", **given),
    "compare": lambda **given: ho.compare("mlp:4-3", "unused", methods=["adam"], **given),
    "CircuitLayer": lambda **given: ho.CircuitLayer(None, **given),
    "AerExecutor": ho.AerExecutor,
    "AerSampler": AerSampler,
    "AerEstimator": AerEstimator,
    "AerSamplerGradient": AerSamplerGradient,
    "to_quantum": lambda **given: ho.to_quantum(torch.nn.Linear(4, 3), **given),
}


@pytest.mark.parametrize(
    ("function", "argument", "meant"),
    [
        ("fit", "optim", "optimizer"), ("fit", "opt", "optimizer"),
        ("fit", "optimzer", "optimizer"), ("fit", "verbose", "progress"),
        ("fit", "prog", "progress"),
        ("fit", "n_epochs", "epochs"), ("fit", "max_epochs", "epochs"),
        ("fit", "learning_rate", "lr"), ("fit", "batchsize", "batch_size"),
        ("fit", "criterion", "loss"), ("fit", "loss_fn", "loss"), ("fit", "random_state", "seed"),
        ("fit", "gradient_clip_val", "clip_grad_norm"), ("fit", "ckpt_path", "checkpoint"),
        ("fit", "early_stopping", "patience"), ("fit", "lr_scheduler", "scheduler"),
        ("fit", "accumulate_grad_batches", "accumulate"), ("fit", "weight_decy", "weight_decay"),
        ("fit", "accelerator", "device"), ("fit", "callback", "callbacks"),
        ("fit", "Progress", "progress"),
        ("fit", "nshots", r"AerExecutor\(shots=\.\.\.\)"),
        ("fit", "backend", r"to_quantum\(network, executor=\.\.\.\)"),
        ("fit", "validation_data", "test part"), ("fit", "targets", r"\(x, y\)"),
        ("compare", "epochs", "budget"), ("compare", "optimizers", "methods"),
        ("compare", "n_jobs", "workers"), ("compare", "verbose", "progress"),
        ("compare", "cv", "seeds"), ("compare", "seed", "seeds"), ("compare", "lr", "tuning"),
        ("compare", "baseline", "control"), ("compare", "outptu", "output"),
        ("compare", "device", r"AerExecutor\(device=\.\.\.\)"),
        ("CircuitLayer", "observable", "observables"), ("CircuitLayer", "diff_method", "gradient"),
        ("CircuitLayer", "input_params", "input_parameters"),
        ("CircuitLayer", "estimator", "executor"), ("CircuitLayer", "initial_weights", "initial"),
        ("CircuitLayer", "input_gradients", "always computed"),
        ("AerExecutor", "n_shots", "shots"), ("AerExecutor", "noise", "noise_model"),
        ("AerExecutor", "seed_simulator", "seed"), ("AerExecutor", "initial_layout", "layout"),
        ("AerSampler", "shots", "default_shots"), ("AerSampler", "backend", "executor"),
        ("AerSampler", "noise_model", r"AerExecutor\(noise_model=\.\.\.\)"),
        ("AerEstimator", "precision", "default_precision"),
        ("AerEstimator", "shots", r"AerExecutor\(shots=\.\.\.\)"),
        ("AerSamplerGradient", "sampler", "executor"),
        ("to_quantum", "num_angle", "num_angles"), ("to_quantum", "shots", r"AerExecutor\(shots"),
    ],
)  # fmt: skip
def test_a_wrong_argument_suggests_the_right_one(function, argument, meant):
    remedy = rf".*Did you mean '{meant}'" if meant.isidentifier() else f".*{meant}"
    kind = UnknownNameError if function in {"fit", "to_quantum"} else UnknownArgumentError
    with pytest.raises(kind, match=f"'{argument}'{remedy}") as caught:
        CALLS[function](**{argument: 1})
    assert type(caught.value) is kind
    assert issubclass(UnknownArgumentError, TypeError)  # as Python's own error


def test_all_arguments_after_the_wrong_one():
    with pytest.raises(UnknownArgumentError, match=r"'xyzzy'\. Available: device, shots, "):
        ho.AerExecutor(xyzzy=1)


def test_names_without_likeness_get_the_list():
    with pytest.raises(UnknownNameError, match=r"'xyzzy'\. Available: network, data, optimizer"):
        ho.fit(torch.nn.Linear(4, 3), "unused", xyzzy=1, optimizer="adam")


def test_options_of_other_optimizers_stay_their_own_error():
    with pytest.raises(
        ArgumentError, match="Optimizer 'adam' takes no keyword argument 'momentum'"
    ):
        ho.fit(torch.nn.Linear(4, 3), "iris", momentum=0.9)
    network = torch.nn.Linear(4, 3)
    with pytest.raises(ArgumentError, match="`weight_decay` must be left out"):
        ho.fit(network, "iris", optimizer=torch.optim.Adam(network.parameters()), weight_decay=1)


def test_inputs_and_targets_by_position():
    x, y = torch.rand(6, 4), torch.tensor([0, 1, 2, 0, 1, 2])
    with pytest.raises(ArgumentTypeError, match=r"network, data \(got 1 more\).*\(x, y\)"):
        ho.fit(torch.nn.Linear(4, 3), x, y)
    with pytest.raises(ArgumentTypeError, match=r"`AerExecutor` must .* device \(got 1 more\)"):
        ho.AerExecutor("CPU", 100)


def test_the_decorator_keeps_signature_and_identity():
    assert next(iter(inspect.signature(ho.fit).parameters)) == "network"
    assert "methods" in inspect.signature(ho.compare).parameters
    assert "circuit" in inspect.signature(ho.CircuitLayer).parameters
    assert pickle.loads(pickle.dumps(ho.fit)) is ho.fit

    @explain_arguments
    def function(a, b=2, *, c=3):
        return a, b, c

    assert function(1) == (1, 2, 3)
    assert function(1, 4, c=5) == (1, 4, 5)


def history():
    return ho.training.History("accuracy", [])


@pytest.mark.parametrize(
    ("kind", "name", "meant"),
    [
        ("History", "loss", "train_loss"), ("History", "losses", "train_loss"),
        ("History", "val_loss", "test_loss"), ("History", "accuracy", "metric"),
        ("History", "tain_loss", "train_loss"), ("History", "history", "records"),
        ("History", "df", "to_frame"), ("History", "figure", "plot"),
        ("Study", "results", "table"), ("Study", "best_method", "recommend"),
        ("Study", "report", "to_html"),
        ("Study", "recomend", "recommend"), ("Study", "show", "plot"),
    ],
)  # fmt: skip
def test_a_wrong_attribute_suggests_the_right_one(kind, name, meant):
    thing = history() if kind == "History" else object.__new__(Study)
    with pytest.raises(MissingAttributeError, match=f"'{name}'.*Did you mean '{meant}'") as caught:
        getattr(thing, name)
    assert isinstance(caught.value, AttributeError | HybridOptError)
    assert not hasattr(thing, "xyzzy")


def test_histories_are_still_copied_and_their_own_errors_shown():
    one = history()
    assert copy.deepcopy(one) == pickle.loads(pickle.dumps(one)) == one
    one.records = [object()]
    with pytest.raises(AttributeError, match="'object' object has no attribute 'train_loss'"):
        one.train_loss  # noqa: B018


def test_words_of_others_are_not_ours():
    """A word is not translated where it is a name of ours, so each entry must be able to act."""
    taken = {name for call in (ho.fit, ho.compare) for name in inspect.signature(call).parameters}
    for ours, words in FOREIGN.items():
        assert ours not in words.split()
        assert words.split() == sorted(set(words.split())), ours
    assert {"optimizer", "progress", "budget", "seeds"} <= taken & set(FOREIGN)
    assert set(ELSEWHERE) - {"bridge", "input_gradients", "shuffle", "device"} <= set(FOREIGN)
    assert did_you_mean("optim", ["optimizer", "lr"]) == " Did you mean 'optimizer'?"
    assert did_you_mean("xyzzy", ["optimizer", "lr"]) == ""
