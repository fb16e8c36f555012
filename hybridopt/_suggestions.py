"""Suggestions for misspelt names and for names of other libraries."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import ParamSpec, TypeVar

from hybridopt.errors import (
    ArgumentTypeError,
    MissingAttributeError,
    UnknownArgumentError,
    UnknownNameError,
)  # fmt: skip

P = ParamSpec("P")
R = TypeVar("R")
# our names, with names of Keras, scikit-learn, Lightning, PennyLane and qiskit-machine-learning
FOREIGN = {
    "accumulate": "accumulate_grad_batches accumulation_steps gradient_accumulation_steps",
    "batch_size": "batch batchsize bs minibatch minibatch_size train_batch_size",
    "budget": "epochs max_epochs max_steps n_epochs num_epochs steps time_limit",
    "callbacks": "callback hook hooks",
    "checkpoint": "ckpt ckpt_path resume resume_from_checkpoint save_path",
    "circuit": "ansatz qc qnode quantum_circuit",
    "clip_grad_norm": "clip clip_norm clipnorm grad_clip gradient_clip_val max_grad_norm max_norm",
    "confidence": "alpha confidence_level level",
    "control": "base baseline reference",
    "data": "data_loader datamodule dataset loader train_data train_dataloader x xs",
    "default_precision": "precision",
    "default_shots": "shots",
    "device": "accelerator cuda gpu gpus use_gpu",
    "epochs": "epoch iterations max_epochs max_iter maxiter n_epochs nb_epoch num_epochs",
    "executor": "backend dev estimator quantum_instance sampler simulator",
    "gradient": "diff_method differentiation gradient_method gradient_rule",
    "initial": "init initial_point initial_weights weights_init",
    "input_parameters": "feature_map input_params inputs",
    "layout": "coupling_map initial_layout qubits",
    "loss": "cost criterion loss_fn loss_function objective",
    "lr": "alpha eta learning_rate learning_rate_init rate stepsize",
    "max_bond_dimension": "bond_dimension chi matrix_product_state_max_bond_dimension max_bond",
    "max_memory": "max_memory_mb memory memory_limit",
    "methods": "models optimizer optimizers",
    "metric": "acc accuracy r2 score scores val_acc val_accuracy",
    "metrics": "metric scoring",
    "network": "estimator model module net qnn",
    "noise_model": "noise noise_backend",
    "observables": "hamiltonian measurements observable operator",
    "optimizer": "algorithm minimizer opt optim optimiser solver",
    "output": "folder out output_dir path save save_dir",
    "patience": "early_stopping early_stopping_patience n_iter_no_change",
    "plot": "figure plots show show_figure",
    "progress": "disp enable_progress_bar progress_bar show_progress tqdm verbose verbosity",
    "readout_mitigation": "error_mitigation mitigation resilience_level",
    "recommend": "best best_estimator best_method winner",
    "records": "epochs history logs",
    "runs": "raw_results results",
    "scheduler": "lr_schedule lr_scheduler schedule",
    "seed": "generator random_seed random_state rng seed_simulator",
    "seeds": "cv folds n_repeats n_seeds n_splits num_seeds random_state repeats repetitions seed",
    "shots": "default_shots n_shots nshots num_shots",
    "table": "results summary",
    "test_loss": "val_loss validation_loss",
    "to_csv": "csv export",
    "to_frame": "dataframe df frame pandas to_dataframe to_pandas",
    "to_html": "html report",
    "tol": "ftol min_delta tolerance",
    "train_loss": "cost loss losses training_loss",
    "tuning": "hyperparameters learning_rate lr n_trials search trials",
    "validation_data": "eval_set test test_data val_data val_dataloaders validation_split x_test",
    "weight_parameters": "parameters params weight_params weights",
    "workers": "jobs n_jobs njobs num_processes num_workers processes",
    "y": "labels target targets y_train ys",
}
# remedies for arguments that belong elsewhere, in every function that does not take them
ELSEWHERE = {
    "bridge": "Convert the network first: `to_quantum(network, bridge=...)`. In `compare`, name it "
    'in a method: "memory+adam".',
    "device": "The device belongs to the executor of the circuits: `AerExecutor(device=...)`.",
    "executor": "The executor belongs to the circuits: `to_quantum(network, executor=...)`.",
    "gradient": "The rule belongs to the circuits: `to_quantum(network, gradient=...)`.",
    "input_gradients": "Gradients with respect to the inputs are always computed.",
    "metrics": "The metric is the accuracy for class labels, and R^2 otherwise.",
    "noise_model": "Noise belongs to the executor: `AerExecutor(noise_model=...)`.",
    "shots": "Shots belong to the executor: `AerExecutor(shots=...)`.",
    "shuffle": "The samples of each epoch are shuffled; `seed` sets their order.",
    "validation_data": "Give the data a test part, which is evaluated in each epoch: "
    "`hybridopt.data.as_dataset((x, y), test=(x_test, y_test))`.",
    "y": "Pass inputs and targets as one pair, `(x, y)`.",
}


@functools.cache
def _ours() -> Mapping[str, list[str]]:
    """Return our names by names of other libraries."""
    found: dict[str, list[str]] = {}
    for name, words in FOREIGN.items():
        for word in words.split():
            found.setdefault(word, []).append(name)
    return found


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """Return a question with `near_names`, and a space before it; empty if none fits."""
    nearest = near_names(word, names)
    return f" Did you mean {' or '.join(map(repr, nearest))}?" if nearest else ""


def near_names(word: str, names: Iterable[str]) -> list[str]:
    """Return up to three of ``names``.

    Translations come first, otherwise names that start with the word, and similar ones.
    """
    plain = {name.lower(): name for name in names}
    lower = word.lower()
    nearest = [name for name in _ours().get(lower, ()) if name in plain.values()]
    if not nearest:
        longer = [name for name in plain if len(lower) > 1 and name.startswith(lower)]
        similar = difflib.get_close_matches(lower, plain, n=3, cutoff=0.5)
        nearest = [plain[name] for name in dict.fromkeys([*longer, *similar])][:3]
    return nearest


def check_keywords(
    owner: str,
    given: Iterable[str],
    known: Iterable[str],
    error: type[UnknownNameError] = UnknownNameError,
) -> None:
    """Raise an error for keyword arguments that ``owner`` does not take, with the nearest names."""
    names = list(known)
    for name in given:
        if name in names:
            continue
        meant = [name.lower(), *_ours().get(name.lower(), ())]
        remedies = [] if {*meant} & {*names} else [ELSEWHERE[m] for m in meant if m in ELSEWHERE]
        hint = f" {remedies[0]}" if remedies else did_you_mean(name, names)
        listed = f"Available: {', '.join(names)}." if names else "There are none."
        raise error(f"{owner} takes no keyword argument {name!r}.{hint} {listed}")


def explain_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function so that its errors for wrong arguments suggest the right ones."""
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    places = [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
    names = [one.name for one in parameters if one.kind is not one.VAR_KEYWORD]
    is_method = function.__qualname__.endswith(".__init__")

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        owner = type(args[0]).__name__ if is_method else function.__qualname__
        extra = len(args) - len(places) - is_method
        if extra > 0:
            pair = f" {ELSEWHERE['y']}" if places[-1] == "data" else ""
            raise ArgumentTypeError(
                f"`{owner}` must get at most {len(places)} arguments by position, "
                f"{', '.join(places)} (got {extra} more).{pair} Name all others."
            )
        if len(names) == len(parameters):  # otherwise the function has further options
            check_keywords(owner, kwargs, names, UnknownArgumentError)
        return function(*args, **kwargs)

    return checked


def missing_attribute(owner: object, name: str) -> AttributeError:
    """Return the error of ``__getattr__`` for a name that an object does not have."""
    kind = type(owner)
    if hasattr(kind, name):  # the error of a property
        object.__getattribute__(owner, name)
    public = [one for one in dir(kind) if not one.startswith("_")]
    public += [one for one in vars(owner) if one not in public]
    hint = "" if name.startswith("_") else did_you_mean(name, public)
    return MissingAttributeError(f"{kind.__name__} has no attribute {name!r}.{hint}")
