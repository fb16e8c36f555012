from __future__ import annotations

import json

import pytest

from hybridopt.bridges import BRIDGES, Memory, RandomSubspace
from hybridopt.compare import Method
from hybridopt.errors import ArgumentError, ArgumentTypeError, UnknownNameError
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


def test_options_by_argument_are_the_same_as_in_the_text():
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


def test_one_rate_for_each_stage():
    method = Method("adam > memory+adam", lr=[0.1, 0.2])
    assert [stage.base_lr for stage in method.stages] == [0.1, 0.2]
    assert [stage.base_lr for stage in Method("adam > sgd", lr=0.3).stages] == [0.3, 0.3]


def test_bridge_options_reach_the_bridges_of_a_chain():
    first, second = Method("adam > memory+adam", bridge_options={"form": "full"}).stages
    assert (first.bridge, second.bridge) == (None, Memory(form="full"))


def test_in_plain_types():
    method = Method("memory+adam(betas=(0.5, 0.9))", name="mine", gradient="parameter-shift")
    assert json.loads(json.dumps(method.to_dict())) == method.to_dict()
    assert method.name == "mine"
    assert repr(method) == "Method('mine')"
    assert Method.parse(method) is method


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("adma", UnknownNameError, "Unknown optimizer or bridge 'adma'. Did you mean .*'adam'"),
        ("memroy+adam", UnknownNameError, "Unknown bridge 'memroy'. Did you mean 'memory'"),
        ("memory+adma", UnknownNameError, "Unknown optimizer 'adma'"),
        ("adam+memory", ArgumentError, 'write "memory\\+adam"'),
        ("memory+twin+adam", ArgumentError, "joins more than"),
        ("", ArgumentError, "has an empty stage"),
        ("adam > ", ArgumentError, "has an empty stage"),
        ("adam:x", ArgumentError, "must end in `:` and a positive number"),
        ("adam:-1", ArgumentError, "must end in `:`"),
        ("adam:1:2", ArgumentError, "must end in `:`"),
        ("adam:inf", ArgumentError, "must end in `:`"),
        ("adam:3 > sgd", ArgumentError, "to some stages only"),
        ("3 > adam", ArgumentError, "'3' is no name"),
        ("adam(lr)", ArgumentError, "must be written `name=value`"),
        ("adam(lr=-1)", ArgumentError, "`lr` must be more than 0"),
        ("adam(beta=1)", UnknownNameError, "no keyword argument 'beta'. Did you mean 'betas'"),
        ("memory(from=1)+adam", UnknownNameError, "argument 'from'. Did you mean 'form'"),
        (3, ArgumentTypeError, "must be a text such as"),
        (None, ArgumentTypeError, "must be a text such as"),
    ],
)
def test_what_is_no_method(text, error, message):
    with pytest.raises(error, match=message):
        Method.parse(text)


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"text": "adam > sgd", "lr": [0.1]}, ArgumentError, "2 stages, but `lr` has 1"),
        ({"text": "adam", "lr": 0}, ArgumentError, "`lr` must be more than 0"),
        ({"text": "adam", "lr": "auto"}, ArgumentTypeError, "`lr` must be a number"),
        ({"text": "adam", "bridge_options": {"form": "full"}}, ArgumentError, "names no bridge"),
        ({"text": "twin+adam", "bridge": Memory()}, ArgumentError, "leave out `bridge=`"),
        ({"text": "adam", "bridge": "memory"}, ArgumentTypeError, "must be an instance"),
        ({"text": "adam", "name": " "}, ArgumentTypeError, "name of a method"),
        ({"text": "adam", "batch_size": 0}, ArgumentError, "`batch_size` must be 1 or more"),
        ({"text": "adam", "gradient": "shift"}, UnknownNameError, "parameter-shift"),
        ({"text": "adam", "scheduler": "cosinus"}, UnknownNameError, "Did you mean 'cosine'"),
    ],
)
def test_what_a_method_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        Method(**arguments)
