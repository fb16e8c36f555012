"""Angles of a circuit as a table of numbers, for simulators without expressions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from qiskit.circuit import Parameter, ParameterExpression

from hybridopt.bench.problem import Problem
from hybridopt.bench.translation import angle_function


class AngleTable:
    """Values of A angles for all samples, and the chain rule to the weights.

    Angles that are a single input or weight are copied together; others have one function each.

    Args:
        angles: Expressions of inputs and weights.
        problem: Problem with these inputs and weights.
    """

    def __init__(self, angles: Sequence[ParameterExpression], problem: Problem) -> None:
        self.size = len(angles)
        own = set(problem.weights)
        self.of_inputs = np.array([not one.parameters <= own for one in angles], dtype=bool)
        """True for an angle that depends on an input, shape (A,)."""
        self.of_weights = np.array([not own.isdisjoint(one.parameters) for one in angles], bool)
        """True for an angle that depends on a weight, shape (A,)."""
        self._num_inputs = len(problem.inputs)
        columns = {one: n for n, one in enumerate((*problem.inputs, *problem.weights))}
        plain = [(n, columns[one]) for n, one in enumerate(angles) if isinstance(one, Parameter)]
        self._plain, self._columns = np.array(plain, dtype=int).reshape(-1, 2).T
        by_weight = self._columns >= self._num_inputs
        self._plain_weights = self._plain[by_weight], self._columns[by_weight] - self._num_inputs
        self._functions = [
            (n, angle_function(one, problem, np))
            for n, one in enumerate(angles)
            if not isinstance(one, Parameter)
        ]
        self._derivatives = [
            (n, number, angle_function(angles[n], problem, np, weight))
            for n, _ in self._functions
            for number, weight in enumerate(problem.weights)
            if weight in angles[n].parameters
        ]

    def values(
        self, x: Float64[np.ndarray, "B I"], w: Float64[np.ndarray, " P"]
    ) -> Float64[np.ndarray, "B A"]:
        """Return all angles in radians."""
        result = np.empty((len(x), self.size))
        given = np.concatenate([x, np.broadcast_to(w, (len(x), len(w)))], axis=1)
        result[:, self._plain] = given[:, self._columns]
        for number, function in self._functions:
            result[:, number] = function(x, w)
        return result

    def to_weights(
        self,
        by_angle: Float64[np.ndarray, "B A"],
        x: Float64[np.ndarray, "B I"],
        w: Float64[np.ndarray, " P"],
    ) -> Float64[np.ndarray, " P"]:
        """Return the gradient with respect to the weights, averaged over the samples."""
        gradient = np.zeros(len(w))
        places, weights = self._plain_weights
        np.add.at(gradient, weights, by_angle[:, places].sum(0))
        for number, weight, derivative in self._derivatives:
            gradient[weight] += (by_angle[:, number] * derivative(x, w)).sum()
        return gradient / len(x)
