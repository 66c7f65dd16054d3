"""Derivatives of a fitted function, in the user's units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from skinr.jets import evaluate_jets
from skinr.layout import Layout
from skinr.network import SirenStack
from skinr.scaling import Units
from skinr.validation import check_order, check_weight, collect_targets

TORCH_DTYPES = {np.dtype(np.float32): torch.float32, np.dtype(np.float64): torch.float64}
"""Precisions in which derivatives can be computed."""

Values = NDArray[np.floating[Any]]


class DerivativesMixin:
    """Gradient, Hessian, Laplacian and divergence of an estimator of a network in units."""

    _units: Units
    _evaluate: Callable[..., Values]
    _validate_coordinates: Callable[..., Values]
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
            training data, unless `normalize_X` is False. The first shape where y was
            one-dimensional.

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

        jets = self._evaluate(X, evaluate_jets, restore, _precision(dtype))
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
        shape = self._validate_coordinates(X).shape
        check_order(self, gradient)
        targets, layout = collect_targets(shape, y, gradient, laplacian)
        self._check_outputs(layout)
        predictions, _ = collect_targets(
            shape,
            self.predict(X) if "values" in layout.kinds else None,
            self.gradient(X) if "gradient" in layout.kinds else None,
            self.laplacian(X) if "laplacian" in layout.kinds else None,
        )
        weight = check_weight(sample_weight, targets)
        scale = self._units.X.scale
        kinds = [
            _known_r2(layout.part(targets, kind), layout.part(predictions, kind), weight, unit)
            for kind, unit in [("values", None), ("gradient", scale), ("laplacian", np.ones(1))]
            if kind in layout.kinds
        ]
        scores = [np.mean(outputs) for outputs in kinds if outputs]
        if not scores:
            raise ValueError("R² takes two known entries of an output at least; none has as many.")
        return float(np.mean(scores))

    def _check_outputs(self, layout: Layout) -> None:
        n_outputs, single_target = len(self._units.y.scale), self._units.single_target
        if (layout.n_outputs, layout.single_target) != (n_outputs, single_target):
            given = "one" if layout.single_target else f"a column for each of {layout.n_outputs}"
            fitted = "one" if single_target else f"a column for each of {n_outputs}"
            raise ValueError(f"Targets to score have {given} output; the fit's have {fitted}.")


def _known_r2(
    targets: Values, predictions: Values, weight: Values, unit: Values | None
) -> list[float]:
    """Return the R² of each output of which more than one row is known.

    Parameters
    ----------
    targets, predictions : ndarray of shape (n_rows, n_components, n_outputs)
    weight : ndarray of shape (n_rows,)
    unit : ndarray of shape (n_components,) or None
        What components of derivatives are multiplied by, to be compared with 0, which is what a
        constant function has. None for values, which are compared with their mean.
    """
    scores = []
    for target, prediction in zip(targets.T, predictions.T, strict=True):
        known = ~np.isnan(target).any(axis=0) & (weight > 0)
        target, prediction = target[:, known], prediction[:, known]
        if known.sum() < 2:
            continue
        if unit is None:
            scores.append(r2_score(target[0], prediction[0], sample_weight=weight[known]))
        else:
            missed, power = (
                weight[known] @ ((part * unit[:, None]) ** 2).sum(axis=0)
                for part in (target - prediction, target)
            )
            scores.append(1 - missed / power if power else float(missed == 0))
    return scores


def _precision(dtype: DTypeLike | None) -> np.dtype[Any] | None:
    if dtype is None:
        return None
    if dtype not in tuple(TORCH_DTYPES):
        raise ValueError(f"dtype must be None, float32 or float64; {dtype!r} given.")
    return np.dtype(dtype)
