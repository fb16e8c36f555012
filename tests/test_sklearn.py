from __future__ import annotations

import pickle
from threading import Lock

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

import hybridopt as ho
from hybridopt._random import isolated
from hybridopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    TrainingError,
    UnknownNameError,
)  # fmt: skip
from hybridopt.sklearn import HybridClassifier, HybridRegressor

X = np.random.default_rng(3).normal(size=(45, 3))
LABELS = np.array(["ant", "bee", "cat"])[(X @ [[2, -1, 0], [0, 2, -1], [-1, 0, 2]]).argmax(1)]
TARGETS = np.column_stack([X @ [1.0, -0.5, 0.2] + 0.3, X @ [0.0, 0.7, -1.0]])


@pytest.mark.wrong_types
@parametrize_with_checks([HybridClassifier(), HybridRegressor()])
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


# few steps with a large rate: each step takes some milliseconds in a circuit
@pytest.mark.wrong_types
@pytest.mark.slow
@parametrize_with_checks(
    [HybridClassifier((), bridge="memory", lr=1.0, epochs=5, batch_size=None)],
    expected_failed_checks=lambda estimator: {
        "check_class_weight_classifiers": "five steps on features of deviation 20 are too few, "
        "for the same network without a circuit, too"
    },
)
def test_checks_of_scikit_learn_in_a_circuit(estimator, check):
    check(estimator)


def test_a_linear_classifier_is_logistic_regression():
    rng = np.random.default_rng(1)
    labels = np.where(rng.random(len(X)) < 0.25, rng.choice(LABELS, len(X)), LABELS)  # overlap
    exact = {"tolerance_grad": 1e-10, "tolerance_change": 1e-15}
    ours = HybridClassifier((), optimizer="lbfgs", optimizer_options=exact, random_state=0)
    ours.fit(X, labels)
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(X, labels)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=1e-5)
    assert ours.classes_.tolist() == ["ant", "bee", "cat"]
    assert ours.score(X, labels) == theirs.score(X, labels)


@pytest.mark.parametrize("targets", [TARGETS, TARGETS[:, :1], TARGETS[:, 0]])
def test_a_linear_regressor_is_least_squares(targets):
    noisy = targets + 0.1 * np.random.default_rng(2).normal(size=targets.shape)
    ours = HybridRegressor((), optimizer="newton", epochs=2, random_state=0).fit(X, noisy)
    theirs = LinearRegression().fit(X, noisy)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=0, atol=1e-9)
    assert ours.predict(X).shape == noisy.shape


def test_fit_is_that_of_hybridopt():
    seed = int(np.random.RandomState(5).randint(2**31 - 1))
    with isolated(seed):
        double = {"dtype": torch.float64}
        network = nn.Sequential(nn.Linear(3, 8, **double), nn.Tanh(), nn.Linear(8, 3, **double))
    classes, numbers = np.unique(LABELS, return_inverse=True)
    history = ho.fit(network, (X, numbers), epochs=4, lr=0.05, seed=seed, scheduler="cosine")
    seen, options = [], {"epochs": 4, "lr": 0.05, "scheduler": "cosine", "random_state": 5}
    callbacks = [lambda record, network: seen.append(record.epoch)]
    model = HybridClassifier((8,), callbacks=callbacks, **options).fit(X, LABELS)
    assert seen == [1, 2, 3, 4]
    assert model.history_.train_loss == history.train_loss
    expected = torch.softmax(network(torch.from_numpy(X)), 1).detach().numpy()
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    assert model.predict(X).tolist() == classes[expected.argmax(1)].tolist()


MEMORY = ho.bridges.Memory(scale=1.0)
BY_NAME = {"bridge": "memory", "bridge_options": {"scale": 1.0}}
INSTANCES = {"bridge": MEMORY, "gradient": ho.gradients.ParameterShift()}


@pytest.mark.parametrize(("shots", "options"), [(None, BY_NAME), (4096, INSTANCES)])
def test_in_a_circuit(shots, options, aer_calls):
    model = HybridClassifier(
        (4,), **options, shots=shots, lr=0.1, epochs=15, batch_size=None, random_state=0
    ).fit(X, LABELS)
    assert model.network_.bridge == MEMORY
    assert isinstance(model.network_.gradient, ho.gradients.ParameterShift)
    assert sum(aer_calls) >= sum(model.history_.runs) > 0
    assert model.network_.executor.shots == shots
    assert model.score(X, LABELS) > 0.8
    again = clone(model).fit(X, LABELS)
    np.testing.assert_array_equal(model.predict_proba(X), again.predict_proba(X))
    if shots is None:
        back = ho.to_classical(model.network_)(torch.from_numpy(X)).detach().softmax(1).numpy()
        np.testing.assert_allclose(model.predict_proba(X), back, rtol=0, atol=1e-12)


class Connected(ho.AerExecutor):
    """An executor that cannot be copied deeply."""

    connection = property(lambda self: self._connection)

    def __init__(self, **options):
        super().__init__(**options)
        self._connection = Lock()


@pytest.mark.parametrize("kind", [ho.AerExecutor, Connected])
@pytest.mark.parametrize("seed", [1, None])
def test_fits_with_a_given_executor_repeat(seed, kind):
    executor = kind(shots=32, seed=seed)
    model = HybridClassifier((), bridge="memory", executor=executor, epochs=2, random_state=0)
    first = model.fit(X, LABELS).predict_proba(X)
    own = model.network_.executor
    assert own.usage.shots == model.history_.cost.shots > 0
    assert (own.shots, own.seed) == (32, seed)
    assert executor.state_dict()["calls"] == 0  # a copy runs
    if kind is Connected:
        assert own.connection is executor.connection
    else:
        assert executor.usage.shots == 0
    for again in (clone(model).fit(X, LABELS), model.fit(X, LABELS)):
        np.testing.assert_array_equal(again.predict_proba(X), first)
    assert (model.classes_[first.argmax(1)] == model.predict(X)).all()
    model.set_params(executor=kind(shots=32, seed=2)).fit(X, LABELS)
    assert not np.array_equal(model.predict_proba(X), first)


@pytest.mark.parametrize("seed", [1, None])
def test_a_network_with_its_own_shots(seed):
    executor = ho.AerExecutor(shots=32, seed=seed)
    head = ho.DressedCircuit(3, 3, num_qubits=3, depth=1, executor=executor)
    model = HybridClassifier(head, epochs=1, batch_size=None, random_state=0)
    first = model.fit(X, LABELS).predict_proba(X)
    assert not np.array_equal(model.predict_proba(X), first)  # fresh shots
    for again in (clone(model).fit(X, LABELS), model.fit(X, LABELS)):
        np.testing.assert_array_equal(again.predict_proba(X), first)
    assert executor.usage.shots == 0


def test_outputs_are_consistent():
    model = HybridClassifier(epochs=3, random_state=0).fit(X, LABELS)
    probabilities, scores = model.predict_proba(X), model.decision_function(X)
    np.testing.assert_allclose(probabilities.sum(1), 1.0, rtol=0, atol=1e-12)
    logarithms = model.predict_log_proba(X)
    np.testing.assert_allclose(logarithms, np.log(probabilities), rtol=0, atol=1e-12)
    assert (scores.argmax(1) == probabilities.argmax(1)).all()
    two = LABELS != "cat"
    model.fit(X[two], LABELS[two])
    odds = model.decision_function(X)
    expected = model.predict_log_proba(X)
    np.testing.assert_allclose(odds, expected[:, 1] - expected[:, 0], rtol=0, atol=1e-12)


def test_grid_search_over_networks_and_bridges():
    grid = {"network": [(4,), nn.Linear(3, 3)], "bridge": [None, "twin"], "lr": [0.1, "auto"]}
    model = make_pipeline(StandardScaler(), HybridClassifier(epochs=3, random_state=0))
    grid = {f"hybridclassifier__{name}": values for name, values in grid.items()}
    search = GridSearchCV(model, grid, cv=2).fit(X, LABELS)
    assert len(search.cv_results_["params"]) == 8
    assert not np.isnan(search.cv_results_["mean_test_score"]).any()
    assert search.best_estimator_.score(X, LABELS) > 0.5


@pytest.mark.parametrize("bridge", [None, "memory", "twin"])
def test_pickle(bridge):
    model = HybridClassifier(bridge=bridge, epochs=2, random_state=0).fit(X, LABELS)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.history_ == model.history_


def conv(num_features, num_outputs):
    return nn.Sequential(
        nn.Unflatten(1, (1, num_features)), nn.Conv1d(1, 2, 2), nn.Flatten(),
        nn.Linear(2 * (num_features - 1), num_outputs),
    )  # fmt: skip


@pytest.mark.parametrize("network", [conv, nn.Linear, nn.Linear(3, 3), [5, 4], np.array([5])])
def test_own_networks(network):
    before = network.weight.clone() if isinstance(network, nn.Module) else None
    model = HybridClassifier(network, epochs=2, random_state=0).fit(X, LABELS)
    assert model.predict_proba(X).shape == (45, 3)
    assert model.predict(X.astype(np.float32)).shape == (45,)
    if before is not None:
        assert torch.equal(network.weight, before)


def broken(num_features, num_outputs):
    raise ZeroDivisionError("on purpose")


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"network": "mlp"}, ArgumentTypeError, "`network`.*'mlp'"),
        ({"network": (4, 0)}, ArgumentError, "`network`.*0"),
        ({"network": (4.5,)}, ArgumentTypeError, "`network`.*4.5"),
        ({"network": broken}, ArgumentError, "'broken'.*3 features.*3 outputs.*on purpose"),
        ({"network": lambda i, o: None}, ArgumentTypeError, "None"),
        ({"network": nn.Linear(3, 5)}, DataError, r"network.* 3 .*\(5,\)"),
        ({"network": nn.Linear(2, 3)}, DataError, r"shape \(2, 3\)"),
        ({"network": nn.LSTM(3, 3)}, DataError, "tuple"),
        ({"network": nn.Tanh()}, ArgumentError, "no parameters"),
        ({"shots": 100}, ArgumentError, "`shots`.*`bridge`"),
        ({"bridge_options": {}}, ArgumentError, "`bridge_options`.*`bridge`"),
        ({"bridge": "memroy"}, UnknownNameError, "'memroy'"),
        ({"bridge": "memory", "bridge_options": {"fom": 1}}, UnknownNameError, "'fom'"),
        ({"bridge": "memory", "bridge_options": 3}, ArgumentTypeError, "`bridge_options`.*3"),
        ({"bridge": "memory", "shots": 1, "executor": ho.AerExecutor()}, ArgumentError,
         "`shots`.*`executor`"),
        ({"bridge": "memory", "bridge_options": {"executor": 1}}, ArgumentError,
         "`bridge_options`.*'executor'.*`executor="),
        ({"bridge": "memory", "bridge_options": {3: 1}}, ArgumentTypeError, "{3"),
        ({"bridge": "memory", "executor": 0}, ArgumentTypeError, "`executor`.*int"),
        ({"bridge": "memory", "executor": ho.AerExecutor}, ArgumentTypeError, "`executor`"),
        ({"optimizer_options": {"lr": 0.1}}, ArgumentError, "`optimizer_options`.*'lr'.*`lr="),
        ({"optimizer_options": {"seed": 1}}, ArgumentError, "'seed'.*`random_state="),
        ({"optimizer_options": {"device": "cpu"}}, ArgumentError, "'device'"),
        ({"optimizer_options": {"momentum": 1}}, UnknownNameError, "'momentum'"),
        ({"epochs": -1}, ArgumentError, "`epochs`"),
        ({"random_state": "a"}, ValueError, "cannot be used to seed"),
    ],
)  # fmt: skip
def test_invalid_parameters(options, error, message, aer_calls):
    with pytest.raises(error, match=message):
        HybridClassifier(**options).fit(X, LABELS)
    assert aer_calls == []


def test_no_gradients(aer_calls):
    with torch.no_grad(), pytest.raises(TrainingError, match="no_grad"):
        HybridClassifier(bridge="memory").fit(X, LABELS)
    assert aer_calls == []


def test_invalid_labels_and_targets():
    mixed = np.array(["a", None, "b"] * 15, dtype=object)
    with pytest.raises(DataError, match=r"(?i)labels.*NoneType, str"):
        HybridClassifier().fit(X, mixed)
    for targets in (LABELS, np.full(45, "2020-01-01", dtype="M8[D]")):
        with pytest.raises(DataError, match=r"(?i)targets.*dtype"):
            HybridRegressor().fit(X, targets)


def test_class_weights_of_another_dtype():
    loss = nn.CrossEntropyLoss(weight=torch.ones(3))
    with pytest.raises(DataError, match=r"`weight`.*float32.*float64"):
        HybridClassifier(loss=loss).fit(X, LABELS)
    HybridClassifier(loss=loss.double(), epochs=1).fit(X, LABELS)
