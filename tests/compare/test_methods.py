from __future__ import annotations

import json
from itertools import combinations

import pytest

from hybridopt.bridges import BRIDGES, Memory, RandomSubspace
from hybridopt.compare import Method
from hybridopt.errors import ArgumentError, ArgumentTypeError, UnknownNameError
from hybridopt.execution import AerExecutor
from hybridopt.optim import OPTIMIZERS


def test_a_chain():
    method = Method("adam:3 > memory+sgd:5 >lbfgs : 10")
    assert method.name == "adam:3 > memory+sgd:5 > lbfgs:10"
    assert [stage.optimizer for stage in method.stages] == ["adam", "sgd", "lbfgs"]
    assert [stage.bridge for stage in method.stages] == [None, Memory(), None]
    assert (method.shares, method.epochs) == ([3, 5, 10], 18)


@pytest.mark.parametrize("bridge", BRIDGES)
def test_a_bridge_alone_takes_adam(bridge):
    method = Method(bridge)
    assert method.name == f"{bridge}+adam"
    assert method.to_dict() == Method(f"{bridge}+adam").to_dict()
    assert method.uses_bridge


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_optimizer_alone(optimizer):
    method = Method(optimizer)
    assert (method.name, method.shares, method.epochs) == (optimizer, [1.0], None)
    assert method.stages[0].base_lr == OPTIMIZERS[optimizer].default_lr


def test_options_in_brackets():
    method = Method('memory(form="full", scale=2.5)+adam(lr=1e+0, betas=(0.5, 0.9)) : 4')
    (stage,) = method.stages
    assert stage.bridge == Memory(form="full", scale=2.5)
    assert (stage.lr, stage.options, stage.share) == (1.0, {"betas": (0.5, 0.9)}, 4.0)


def test_options_as_arguments_and_in_the_text():
    text = Method("random-subspace(num_parameters=7)+sgd(lr=0.2,momentum=0.9)")
    arguments = Method(
        "random-subspace+sgd", lr=0.2, bridge_options={"num_parameters": 7},
        optimizer_options={"momentum": 0.9},
    )  # fmt: skip
    instance = Method(
        "sgd", bridge=RandomSubspace(num_parameters=7), lr=0.2, optimizer_options={"momentum": 0.9}
    )
    assert text.to_dict() == arguments.to_dict() == instance.to_dict()
    assert instance.name == "random-subspace+sgd"


def test_options_of_a_chain():
    method = Method("adam > memory+adam", lr=[0.1, 0.2], bridge_options={"form": "full"})
    assert [stage.base_lr for stage in method.stages] == [0.1, 0.2]
    assert [stage.bridge for stage in method.stages] == [None, Memory(form="full")]
    assert [stage.base_lr for stage in Method("adam > sgd", lr=0.3).stages] == [0.3, 0.3]


def test_a_method_in_plain_types():
    method = Method("memory+adam(betas=(0.5, 0.9))", name="mine", gradient="parameter-shift")
    assert json.loads(json.dumps(method.to_dict())) == method.to_dict()
    assert method.name == "mine"
    assert repr(method) == "Method('mine')"
    assert Method.parse(method) is method


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("adma", UnknownNameError, "optimizer or bridge 'adma'"),
        ("memroy+adam", UnknownNameError, "bridge 'memroy'"),
        ("memory+adma", UnknownNameError, "optimizer 'adma'"),
        ("adam+memory", ArgumentError, "`memory\\+adam`"),
        ("memory+twin+adam", ArgumentError, "'memory\\+twin\\+adam'"),
        ("", ArgumentError, "stage"),
        ("adam:x", ArgumentError, "'adam:x'.*positive"),
        ("adam:-1", ArgumentError, "'adam:-1'.*positive"),
        ("adam:inf", ArgumentError, "'adam:inf'.*positive"),
        ("adam:3 > sgd", ArgumentError, "'adam:3 > sgd'.*share"),
        ("3 > adam", ArgumentError, "'3 > adam'.* '3'"),
        ("adam(lr)", ArgumentError, "'lr'.*`name=value`"),
        ("adam(lr=-1)", ArgumentError, "`lr`"),
        ("adam(beta=1)", UnknownNameError, "'beta'"),
        ("memory(from=1)+adam", UnknownNameError, "'from'"),
        (3, ArgumentTypeError, "`text`.*int"),
    ],
)
def test_invalid_texts(text, error, message):
    with pytest.raises(error, match=message):
        Method.parse(text)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"text": "adam > sgd", "lr": [0.1]}, ArgumentError, "`lr`.*'adam > sgd'"),
        ({"text": "adam", "lr": "auto"}, ArgumentTypeError, "`lr`"),
        ({"text": "adam", "bridge_options": {"form": "full"}}, ArgumentError, "`bridge_options`"),
        ({"text": "twin+adam", "bridge": Memory()}, ArgumentError, "`bridge"),
        ({"text": "adam", "bridge": "memory"}, ArgumentTypeError, "`bridge`"),
        ({"text": "adam", "name": " "}, ArgumentTypeError, "`name`.*' '"),
        ({"text": "adam", "batch_size": 0}, ArgumentError, "`batch_size`"),
        ({"text": "adam", "gradient": "shift"}, UnknownNameError, "'shift'"),
        ({"text": "adam", "scheduler": "cosinus"}, UnknownNameError, "'cosinus'"),
        ({"text": "adam", "executor": "CPU"}, ArgumentTypeError, "`executor`.*'CPU'"),
        ({"text": "adam", "executor": []}, ArgumentTypeError, "`executor`.*pairs"),
        ({"text": "adam", "executor": [AerExecutor()]}, ArgumentTypeError, "`executor`.*pairs"),
        ({"text": "adam", "executor": [(None, 1)]}, ArgumentTypeError, "`executor`.*None"),
        ({"text": "adam", "executor": [(AerExecutor(), 0)]}, ArgumentError, "`executor`.*0"),
        (
            {"text": "adam > memory", "executor": [(AerExecutor(), 1)]},
            ArgumentError,
            "`executor`.*chain",
        ),
    ],
)
def test_invalid_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        Method(**arguments)


def test_executors_and_schedules():
    exact, sampled = AerExecutor(), AerExecutor(shots=10)
    (only,) = Method("adam", executor=exact).stages
    assert (only.executor, only.portion, only.continues) == (exact, 1.0, False)
    method = Method("memory+adam:8", executor=[(exact, 3), (sampled, 1)])
    assert [stage.executor for stage in method.stages] == [exact, sampled]
    assert (method.shares, method.epochs) == ([6.0, 2.0], 8)
    assert [stage.continues for stage in method.stages] == [False, True]
    assert (method.is_chain, method.has_executors) == (False, True)
    chain = Method("adam > memory", executor=exact)
    assert (chain.is_chain, [stage.executor for stage in chain.stages]) == (True, [exact] * 2)
    dicts = [Method("memory", executor=one).to_dict() for one in (None, exact, sampled)]
    assert dicts[0] == Method("memory").to_dict()
    assert all(one != other for one, other in combinations(dicts, 2))
