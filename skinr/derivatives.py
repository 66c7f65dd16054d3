"""Derivatives of a fitted function, in the user's units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.metrics import r2_score
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from skinr.jets import evaluate_gradient, evaluate_jets
from skinr.network import SirenStack
from skinr.scaling import Units
from skinr.targets import collect_targets

TORCH_DTYPES = {np.dtype(np.float32): torch.float32, np.dtype(np.float64): torch.float64}
"""Precisions in which derivatives can be computed."""

Values = NDArray[np.floating[Any]]


class DerivativesMixin:
    """Gradient, Hessian, Laplacian and divergence of an estimator of a network in units."""

    _units: Units
    _evaluate: Callable[..., Values]
    predict: Callable[..., Any]

    def gradient(self, X: ArrayLike, *, dtype: DTypeLike | None = None) -> Values:
        """Differentiate the fitted function by the coordinates.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Coordinates in the units of the training data.
        dtype : numpy dtype, default=None
            Precision of the computation and of the result, float32 or float64. None computes in
            float32 and returns what :meth:`predict` would.

        Returns
        -------
        gradient : ndarray of shape (n_samples, n_features) or (n_samples, n_outputs, n_features)
            In units of y over those of each column of X; 0 along a column that was constant in the
            training data. The first shape where y was one-dimensional.

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError
            For coordinates that :meth:`predict` would refuse, as NaN or other columns than the
            training data had, or another dtype.
        """
        return self._values_and_gradient(X, dtype)[1]

    def hessian(self, X: ArrayLike, *, dtype: DTypeLike | None = None) -> Values:
        """Differentiate the fitted function twice by the coordinates.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        dtype : numpy dtype, default=None
            As for :meth:`gradient`.

        Returns
        -------
        hessian : ndarray of shape (n_samples, n_features, n_features) or \
                (n_samples, n_outputs, n_features, n_features)
            Symmetric; in units of y over those of two columns of X.

        Raises
        ------
        NotFittedError, ValueError
            As :meth:`gradient`.
        """
        n_features = len(self._fitted_units().X.scale)
        upper = np.triu_indices(n_features)
        symmetric = np.empty((n_features, n_features), dtype=int)
        symmetric[upper] = symmetric.T[upper] = np.arange(len(upper[0]))
        operators = [[(int(i), int(j), 1.0)] for i, j in zip(*upper, strict=True)]

        def function(stack: SirenStack, coordinates: torch.Tensor) -> torch.Tensor:
            return evaluate_jets(stack, coordinates, operators)[:, :, 1 + n_features :]

        def restore(part: Values) -> Values:
            return (part * self._units.hessian[upper])[:, symmetric]

        hessian = self._evaluate(X, function, restore, _precision(dtype))
        return self._outputs_second(hessian)

    def laplacian(self, X: ArrayLike, *, dtype: DTypeLike | None = None) -> Values:
        """Sum the second derivatives of the fitted function by each coordinate.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        dtype : numpy dtype, default=None
            As for :meth:`gradient`.

        Returns
        -------
        laplacian : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The trace of :meth:`hessian`, at the cost of a gradient in forward mode. It has meaning
            where the columns of X share a unit.

        Raises
        ------
        NotFittedError, ValueError
            As :meth:`gradient`.
        """
        operator = self._fitted_units().laplacian_operator
        laplacian = self._evaluate(
            X,
            lambda stack, coordinates: evaluate_jets(stack, coordinates, [operator])[:, :, -1],
            lambda part: part * self._units.laplacian,
            _precision(dtype),
        )
        return self._outputs_second(laplacian)

    def divergence(self, X: ArrayLike, *, dtype: DTypeLike | None = None) -> Values:
        """Sum the derivative of each output by the coordinate of the same index.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        dtype : numpy dtype, default=None
            As for :meth:`gradient`.

        Returns
        -------
        divergence : ndarray of shape (n_samples,)

        Raises
        ------
        NotFittedError
            Before a fit.
        ValueError
            As :meth:`gradient`; and where the function is no vector field, with as many outputs
            as features.
        """
        units = self._fitted_units()
        n_features, n_outputs = len(units.X.scale), len(units.y.scale)
        if n_features != n_outputs:
            raise ValueError(
                "The divergence is that of a vector field, with as many outputs as features; this "
                f"function has {n_outputs} outputs and {n_features} features."
            )
        gradient = self.gradient(X, dtype=dtype).reshape(-1, n_outputs, n_features)
        divergence: Values = np.trace(gradient, axis1=1, axis2=2)
        return divergence

    def _values_and_gradient(
        self, X: ArrayLike, dtype: DTypeLike | None = None
    ) -> tuple[Values, Values]:
        def restore(jets: Values) -> Values:
            values = self._units.y.restore(jets[:, :1])
            return np.concatenate([values, jets[:, 1:] * self._units.gradient], axis=1)

        jets = self._evaluate(X, evaluate_gradient, restore, _precision(dtype))
        return self._outputs_second(jets[:, 0]), self._outputs_second(jets[:, 1:])

    def _outputs_second(self, part: Values) -> Values:
        """Move the last axis, of the outputs, to the second place, or drop it for a single one."""
        return part[..., 0] if self._units.single_target else np.moveaxis(part, -1, 1)

    def _fitted_units(self) -> Units:
        check_is_fitted(self)
        return self._units

    def _score_with_derivatives(
        self,
        X: ArrayLike,
        y: ArrayLike | None,
        sample_weight: ArrayLike | None,
        gradient: ArrayLike | None,
        laplacian: ArrayLike | None,
    ) -> float:
        """Return the mean over the kinds of the R² of their known entries."""
        targets, layout = collect_targets(np.shape(X), y, gradient, laplacian)
        predictions, _ = collect_targets(
            np.shape(X),
            self.predict(X) if "values" in layout.kinds else None,
            self.gradient(X) if "gradient" in layout.kinds else None,
            self.laplacian(X) if "laplacian" in layout.kinds else None,
        )
        weight = _check_sample_weight(sample_weight, targets)
        kinds = [
            _known_r2(targets.T[columns], predictions.T[columns], weight)
            for columns in map(layout.columns, layout.kinds)
        ]
        scores = [np.mean(columns) for columns in kinds if columns]
        if not scores:
            raise ValueError("R² takes two known entries of a column at least; none has as many.")
        return float(np.mean(scores))


def _known_r2(targets: Values, predictions: Values, weight: Values) -> list[float]:
    """Return the R² of each column of which more than one entry is known."""
    columns = zip(targets, predictions, ~np.isnan(targets), strict=True)
    return [
        r2_score(target[known], prediction[known], sample_weight=weight[known])
        for target, prediction, known in columns
        if known.sum() > 1
    ]


def _precision(dtype: DTypeLike | None) -> np.dtype[Any] | None:
    if dtype is None:
        return None
    if dtype not in tuple(TORCH_DTYPES):
        raise ValueError(f"dtype must be None, float32 or float64; {dtype!r} given.")
    return np.dtype(dtype)
