"""Weights, partial training, multilabel targets and sparse features in scikit-learn."""

from __future__ import annotations

import copy
import inspect
import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight

from hybridopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    HybridOptError,
    ResourceError,
)
from hybridopt.sklearn import HybridClassifier, HybridRegressor
from hybridopt.training import Callback

DRAW = np.random.default_rng(3)
X = DRAW.normal(size=(45, 3))
NOISY = X @ [[2, -1, 0], [0, 2, -1], [-1, 0, 2]] + DRAW.normal(size=(45, 3))
LABELS = np.array(["ant", "bee", "cat"])[NOISY.argmax(1)]
INDICATORS = (NOISY > 0).astype(int)
TARGETS = NOISY[:, :2]
WEIGHT = DRAW.random(45)
COUNTS = DRAW.integers(0, 4, 45)
ROWS = np.repeat(np.arange(45), COUNTS)
EXACT = {
    "optimizer": "lbfgs",
    "optimizer_options": {"tolerance_grad": 1e-10, "tolerance_change": 1e-15},
    "random_state": 0,
}
QUICK = {"epochs": 3, "lr": 0.05, "random_state": 0}
WEIGHTS = {"ant": 3.0, "cat": 0.5}


@pytest.mark.parametrize("class_weight", [None, "balanced", WEIGHTS])
@pytest.mark.parametrize("weight", [None, WEIGHT, COUNTS])
def test_weights_are_those_of_logistic_regression(weight, class_weight):
    balanced = class_weight == "balanced" and weight is not None
    if balanced and "sample_weight" not in inspect.signature(compute_class_weight).parameters:
        pytest.skip("scikit-learn 1.6 balances classes without the weights of samples")
    ours = HybridClassifier((), class_weight=class_weight, **EXACT).fit(X, LABELS, weight)
    theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000, class_weight=class_weight)
    theirs.fit(X, LABELS, sample_weight=weight)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=2e-5)
    expected = accuracy_score(LABELS, ours.predict(X), sample_weight=WEIGHT)
    assert ours.score(X, LABELS, sample_weight=WEIGHT) == pytest.approx(expected)


@pytest.mark.parametrize("weight", [WEIGHT, COUNTS])
@pytest.mark.parametrize("targets", [TARGETS, TARGETS[:, 0]])
def test_weights_are_those_of_least_squares(targets, weight):
    ours = HybridRegressor((), optimizer="newton", epochs=2, random_state=0)
    ours.fit(X, targets, sample_weight=weight)
    theirs = LinearRegression().fit(X, targets, sample_weight=weight)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=0, atol=1e-9)
    expected = r2_score(targets, ours.predict(X), sample_weight=weight)
    assert ours.score(X, targets, sample_weight=weight) == pytest.approx(expected)


@pytest.mark.parametrize("bridge", [None, "memory"])
@pytest.mark.parametrize(("kind", "y"), [(HybridClassifier, LABELS), (HybridRegressor, TARGETS)])
def test_weights_repeat_samples(kind, y, bridge):
    model = kind((4,), bridge=bridge, optimizer="gd", epochs=3, random_state=0)
    one = clone(model).fit(X, y, sample_weight=COUNTS)._outputs(X)
    other = clone(model).fit(X[ROWS], y[ROWS])._outputs(X)
    np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)
    equal = clone(model).fit(X, y, sample_weight=np.ones(45))._outputs(X)
    np.testing.assert_array_equal(equal, clone(model).fit(X, y)._outputs(X))


@pytest.mark.parametrize("bridge", [None, "memory"])
def test_samples_of_weight_zero_are_removed(bridge):
    model, kept = HybridClassifier((4,), bridge=bridge, batch_size=8, **QUICK), COUNTS > 0
    one = clone(model).fit(X, LABELS, sample_weight=kept)
    other = clone(model).fit(X[kept], LABELS[kept])
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert clone(model).fit(X, LABELS, LABELS != "ant").predict_proba(X).shape == (45, 3)


def test_multilabel_is_one_logistic_regression_per_label():
    ours = HybridClassifier((), **EXACT).fit(X, INDICATORS, sample_weight=WEIGHT)
    chances = ours.predict_proba(X)
    for column in range(3):
        theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000)
        theirs.fit(X, INDICATORS[:, column], sample_weight=WEIGHT)
        expected = theirs.predict_proba(X)[:, 1]
        np.testing.assert_allclose(chances[:, column], expected, rtol=0, atol=2e-5)
    np.testing.assert_array_equal(ours.predict(X), chances > 0.5)
    np.testing.assert_allclose(np.exp(ours.predict_log_proba(X)), chances, rtol=1e-12)
    np.testing.assert_allclose(1 / (1 + np.exp(-ours.decision_function(X))), chances, rtol=1e-12)
    assert ours.score(X, INDICATORS) == accuracy_score(INDICATORS, chances > 0.5)
    assert ours.classes_.tolist() == [0, 1, 2]
    assert ours.history_.metric_name == "accuracy"
    again = clone(ours).fit(sparse.csr_array(X), sparse.csr_array(INDICATORS), WEIGHT)
    np.testing.assert_array_equal(again.predict_proba(X), chances)


@pytest.mark.parametrize("optimizer", ["adam", "gd", "lbfgs"])
@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_array, sparse.coo_array])
def test_sparse_features_equal_dense_ones(form, optimizer):
    model = HybridClassifier((4,), optimizer=optimizer, epochs=2, random_state=0)
    one = clone(model).fit(form(X), LABELS, sample_weight=COUNTS)
    other = clone(model).fit(X, LABELS, sample_weight=COUNTS)
    np.testing.assert_array_equal(one.predict_proba(form(X)), other.predict_proba(X))
    assert one.history_.train_loss == other.history_.train_loss
    model = HybridRegressor((4,), **QUICK)
    one, other = (clone(model).fit(x, TARGETS).predict(x) for x in (form(X), X))
    np.testing.assert_array_equal(one, other)


def test_dense_rows_must_fit_into_memory():
    wide = sparse.csr_array((np.ones(2), ([0, 1], [0, 10**12])), shape=(2, 10**12 + 1))
    for model in (HybridClassifier(), HybridClassifier(optimizer="gd")):
        with pytest.raises(ResourceError, match=r"memory.*16,000,000,000,016 .*`batch_size`"):
            model.fit(wide, [0, 1])


@pytest.mark.parametrize("bridge", [None, "memory"])
@pytest.mark.parametrize(
    ("kind", "y", "classes"),
    [
        (HybridClassifier, LABELS, {"classes": np.unique(LABELS)}),
        (HybridClassifier, INDICATORS, {"classes": [0, 1, 2]}),
        (HybridRegressor, TARGETS, {}),
    ],
)
def test_partial_fit_continues_network_and_optimizer(kind, y, classes, bridge):
    options = {"bridge": bridge, "batch_size": None, **QUICK}
    whole = kind((4,), **options).fit(X, y)
    parts = kind((4,), **options)
    for _ in range(3):
        parts = pickle.loads(pickle.dumps(parts.partial_fit(X, y, **classes)))
    np.testing.assert_array_equal(parts.predict(X), whole.predict(X))
    assert parts.history_.train_loss == whole.history_.train_loss
    assert [record.epoch for record in parts.history_] == [1, 2, 3]
    one = kind((4,), **{**QUICK, "epochs": 1}).fit(X, y, sample_weight=WEIGHT)
    other = kind((4,), **QUICK).partial_fit(X, y, sample_weight=WEIGHT, **classes)
    np.testing.assert_array_equal(one._outputs(X), other._outputs(X))


def test_each_call_has_its_own_order():
    class Losses(Callback):
        def on_step_end(self, loss, network):
            losses.append(loss)

    losses = []
    options = {"lr": 1e-12, "batch_size": 9, "random_state": 0, "callbacks": [Losses()]}
    model = HybridClassifier((), warm_start=True, epochs=1, **options)
    for _ in range(2):
        model.fit(X, LABELS)
        model.partial_fit(X, LABELS)
    orders = [tuple(np.round(losses[k : k + 5], 9)) for k in range(0, 20, 5)]
    assert len(set(orders)) == 4


def test_partial_fit_learns_from_a_stream():
    model = HybridClassifier((), lr=0.2, random_state=0)
    for number in range(60):
        rows = slice(number % 3, None, 3)
        model.partial_fit(X[rows], LABELS[rows], classes=["ant", "bee", "cat"])
    best = LogisticRegression(C=np.inf).fit(X, LABELS).score(X, LABELS)
    assert model.score(X, LABELS) > best - 0.1


@pytest.mark.parametrize(("kind", "y"), [(HybridClassifier, LABELS), (HybridRegressor, TARGETS)])
def test_warm_start_continues_the_network(kind, y):
    options = {"optimizer": "gd", "random_state": 0}
    whole = kind((4,), epochs=4, **options).fit(X, y)
    warm = kind((4,), epochs=2, warm_start=True, **options).fit(X, y).fit(X, y)
    np.testing.assert_array_equal(warm._outputs(X), whole._outputs(X))
    assert warm.history_.train_loss == whole.history_.train_loss[2:]
    cold = warm.set_params(warm_start=False).fit(X, y)
    assert cold.history_.train_loss == whole.history_.train_loss[:2]


CLASSIFIER, REGRESSOR = HybridClassifier((4,), **QUICK), HybridRegressor((4,), **QUICK)
TWO = [("one", CLASSIFIER), ("two", clone(CLASSIFIER).set_params(network=()))]


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize(
    ("model", "takes"),
    [
        (AdaBoostClassifier(CLASSIFIER, n_estimators=3, random_state=0), True),
        (VotingClassifier(TWO, voting="soft", weights=[1, 2]), True),
        (BaggingClassifier(CLASSIFIER, n_estimators=2, random_state=0), True),
        (CalibratedClassifierCV(CLASSIFIER, cv=2), True),
        (GridSearchCV(CLASSIFIER, {"class_weight": [None, "balanced"]}, cv=2), True),
        (StackingClassifier(TWO, cv=2), False),
        (OneVsRestClassifier(CLASSIFIER), False),
    ],
)
def test_ensembles_of_classifiers(model, takes, form):
    model = clone(model).fit(form(X), LABELS, **({"sample_weight": WEIGHT} if takes else {}))
    chances = model.predict_proba(form(X))
    np.testing.assert_allclose(chances.sum(1), 1, rtol=0, atol=1e-12)
    assert model.score(form(X), LABELS) > 0.34


@pytest.mark.parametrize(
    "model",
    [
        AdaBoostRegressor(REGRESSOR, n_estimators=3, random_state=0),
        VotingRegressor([("one", REGRESSOR), ("two", REGRESSOR)], weights=[1, 2]),
        BaggingRegressor(REGRESSOR, n_estimators=2, random_state=0),
    ],
)
def test_ensembles_of_regressors(model):
    model = clone(model).fit(X, TARGETS[:, 0], sample_weight=WEIGHT)
    assert np.isfinite(model.predict(X)).all()


def test_pipelines_pass_weights():
    pipeline = make_pipeline(StandardScaler(), CLASSIFIER)
    pipeline.fit(X, LABELS, hybridclassifier__sample_weight=COUNTS)
    scaled = StandardScaler().fit_transform(X)
    alone = clone(CLASSIFIER).fit(scaled, LABELS, sample_weight=COUNTS)
    np.testing.assert_array_equal(pipeline.predict_proba(X), alone.predict_proba(scaled))


def mean_loss(outputs, targets):
    return outputs.square().mean() + targets.sum() * 0


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("options", "weight", "error", "message"),
    [
        ({}, -WEIGHT, DataError, r"`sample_weight`.*at least 0"),
        ({}, 0 * WEIGHT, ValueError, "(?i)sample.weight"),
        ({}, WEIGHT[:3], ValueError, r"sample_weight.*\(3,\)"),
        ({}, np.full(45, np.nan), ValueError, "(?i)sample_weight contains NaN"),
        ({"loss": mean_loss}, WEIGHT, ArgumentTypeError, "`loss`.*one value per sample"),
        ({"class_weight": "equal"}, None, ArgumentTypeError, "`class_weight`.*'equal'"),
        ({"class_weight": {"dog": 1}}, None, ArgumentError, "`class_weight`"),
        ({"class_weight": {"ant": -1}}, None, ArgumentError, "`class_weight`.*-1"),
        ({"class_weight": dict.fromkeys(["ant", "bee", "cat"], 0)}, None, DataError, "`class_we"),
        ({"warm_start": 1}, None, ArgumentTypeError, "`warm_start`.*1"),
        ({"accumulate": 0}, None, ArgumentError, "`accumulate`.*0"),
    ],
)
def test_bad_weights(options, weight, error, message, aer_calls):
    with pytest.raises(error, match=message):
        HybridClassifier(bridge="memory", **options).fit(X, LABELS, sample_weight=weight)
    assert aer_calls == []


def test_bad_targets():
    with pytest.raises(DataError, match=r"`y` with 2 columns.*MultiOutputClassifier"):
        HybridClassifier().fit(X, np.column_stack([LABELS, LABELS]))
    with pytest.raises(ArgumentError, match=r"`class_weight`.*multilabel.*pos_weight"):
        HybridClassifier(class_weight="balanced").fit(X, INDICATORS)
    warm = HybridClassifier(warm_start=True, **QUICK).fit(X, LABELS)
    with pytest.raises(DataError, match=r"`y`.*classes.*`warm_start`"):
        warm.fit(X[LABELS != "ant"], LABELS[LABELS != "ant"])
    with pytest.raises(ValueError, match="2 features"):
        warm.fit(X[:, :2], LABELS)
    with pytest.raises(DataError, match=r"`y` must have 2 targets"):
        HybridRegressor(warm_start=True, **QUICK).fit(X, TARGETS).fit(X, TARGETS[:, 0])


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"optimizer": "lbfgs"}, "optimizer"),
        ({"optimizer": "newton"}, "optimizer"),
        ({"lr": "auto"}, "lr"),
        ({"scheduler": "cosine"}, "scheduler"),
        ({"class_weight": "balanced"}, "class_weight"),
    ],
)
def test_parameters_without_partial_fit(options, name):
    with pytest.raises(ArgumentError, match=f"`{name}`"):
        HybridClassifier(**options).partial_fit(X, LABELS, classes=np.unique(LABELS))


def test_bad_calls_of_partial_fit():
    with pytest.raises(ArgumentError, match=r"`classes`.*first call"):
        HybridClassifier().partial_fit(X, LABELS)
    with pytest.raises(DataError, match=r"`y`.*'cat'.*`classes`"):
        HybridClassifier().partial_fit(X, LABELS, classes=["ant", "bee"])
    model = HybridClassifier(**QUICK).partial_fit(X, LABELS, classes=["ant", "bee", "cat", "dog"])
    assert model.predict_proba(X).shape == (45, 4)
    with pytest.raises(ArgumentError, match=r"`classes`.*first call"):
        model.partial_fit(X, LABELS, classes=["ant", "bee"])
    with pytest.raises(DataError, match=r"`y`.*kind"):
        model.partial_fit(X, INDICATORS)
    with pytest.raises(DataError, match=r"`y`.*3 columns"):
        HybridClassifier().partial_fit(X, INDICATORS[:, :2], classes=[0, 1, 2])
    with pytest.raises(DataError, match=r"`y` must have 2 targets"):
        HybridRegressor(**QUICK).partial_fit(X, TARGETS).partial_fit(X, TARGETS[:, 0])


def test_a_failed_fit_leaves_the_estimator_as_it_was():
    model = HybridClassifier((4,), epochs=3, random_state=0).fit(X, LABELS)
    before = model.predict_proba(X)
    for change in ({"lr": -1.0}, {"shots": 3}):
        with pytest.raises(HybridOptError):
            model.set_params(**change).fit(X, np.char.upper(LABELS)[::-1])
        model.set_params(**dict.fromkeys(change))
        np.testing.assert_array_equal(model.classes_, np.unique(LABELS))
        np.testing.assert_array_equal(model.predict_proba(X), before)


def test_readings_with_shots_survive_a_pickle():
    model = HybridClassifier((2,), epochs=1, bridge="memory", shots=9, random_state=0)
    expected = model.fit(X, LABELS).predict_proba(X)
    for copied in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(copied.predict_proba(X), expected)


def test_sparse_targets_of_a_regressor_are_dense():
    model = HybridRegressor((2,), epochs=1, random_state=0)
    dense = model.fit(X, INDICATORS).predict(X)
    np.testing.assert_array_equal(model.fit(X, sparse.csr_array(INDICATORS)).predict(X), dense)
