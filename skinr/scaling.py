"""Units: the maps between the user's columns and the network's."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

CHUNK_SIZE = 65_536
"""Rows that are converted at a time, so that a memory map is never copied whole."""

MAX_NORMALIZED = 1e30
"""Magnitude to which normalised values are clipped: float32 and its sine stay finite."""


FAR_OUT = 3.0
"""Interquartile ranges beyond the quartiles from which on a value is far out ([1], section 2D).

.. [1] Tukey. Exploratory Data Analysis. Addison-Wesley, 1977.
"""

MOST_FAR_OUT = 0.1
"""Share of the values that may be far out."""

STRETCHED = 30.0
"""How much longer far values must make a range: up to 40 times a network sees the rest well."""

MOST_SORTED = 100_000
"""Rows, of the whole table, by which quartiles are found."""


class AffineMap(NamedTuple):
    """Columns shifted by `center` and divided by `scale`.

    Parameters
    ----------
    center, scale : ndarray of shape (n_columns,), float64
        A `scale` of 0 marks a constant column, which normalises to 0.
    """

    center: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def identity(cls, n_columns: int) -> AffineMap:
        """Leave the columns as they are."""
        return cls(np.zeros(n_columns), np.ones(n_columns))

    @classmethod
    def from_range(cls, table: NDArray[Any]) -> AffineMap:
        """Map each column's range to [-1, 1].

        Parameters
        ----------
        table : ndarray of shape (n_rows, n_columns)

        Returns
        -------
        scaling : AffineMap
        """
        chunks = (table[chunk] for chunk in gen_batches(len(table), CHUNK_SIZE))
        extremes = np.array([(part.min(axis=0), part.max(axis=0)) for part in chunks], np.float64)
        low, high = extremes[:, 0].min(axis=0), extremes[:, 1].max(axis=0)
        return cls._between(low, high)

    @classmethod
    def _between(cls, low: NDArray[np.float64], high: NDArray[np.float64]) -> AffineMap:
        return cls(low / 2 + high / 2, high / 2 - low / 2)

    @classmethod
    def from_usual_range(cls, table: NDArray[Any]) -> AffineMap:
        """Map each column's range to [-1, 1], or that of most values if the others are far out.

        One far value would squeeze all others into a point.

        Parameters
        ----------
        table : ndarray of shape (n_rows, n_columns)

        Returns
        -------
        scaling : AffineMap
        """
        span = cls.from_range(table)
        sample = table[:: 1 + len(table) // MOST_SORTED]
        quartiles = np.quantile(sample, [0.25, 0.75], axis=0, method="nearest")
        first, third = quartiles.astype(np.float64)
        with np.errstate(over="ignore"):
            reach = FAR_OUT * (third - first)
            fences = first - reach, third + reach
        low, high, n_usual = _range_within(table, *fences)
        rest = cls._between(low, high)
        is_stretched = (
            (n_usual >= (1 - MOST_FAR_OUT) * len(table))
            & (rest.scale > 0)
            & (span.scale / STRETCHED > rest.scale)
        )
        return cls(*(np.where(is_stretched, *pair) for pair in zip(rest, span, strict=True)))

    @classmethod
    def from_moments(
        cls, table: NDArray[Any], weight: NDArray[np.float64] | None = None
    ) -> AffineMap:
        """Map each column to mean 0 and standard deviation 1.

        Parameters
        ----------
        table : ndarray of shape (n_rows, n_columns)
        weight : ndarray of shape (n_rows,), optional
            Non-negative weights of the rows, of mean 1.

        Returns
        -------
        scaling : AffineMap
        """
        span = cls.from_range(table)

        def mean_power(center: NDArray[np.float64], power: int) -> NDArray[np.float64]:
            total = np.zeros(table.shape[1])
            for chunk in gen_batches(len(table), CHUNK_SIZE):
                deviation = (span.normalize(table[chunk]) - center) ** power
                total += deviation.sum(axis=0) if weight is None else weight[chunk] @ deviation
            return total / len(table)

        mean = mean_power(np.zeros(table.shape[1]), 1)
        deviation = np.sqrt(mean_power(mean, 2))
        return cls(span.center + mean * span.scale, deviation * span.scale)

    def normalize(self, table: NDArray[Any]) -> NDArray[np.float64]:
        """Map columns from the user's units to the network's."""
        with np.errstate(over="ignore"):
            normalized = quotient(table - self.center, self.scale)
        return cast("NDArray[np.float64]", normalized.clip(-MAX_NORMALIZED, MAX_NORMALIZED))

    def restore(self, table: NDArray[Any]) -> NDArray[np.float64]:
        """Map columns from the network's units back to the user's."""
        return table * self.scale + self.center


class Units(NamedTuple):
    """The user's side of a fitted network.

    Parameters
    ----------
    X, y : AffineMap
        Between the user's columns and the network's.
    single_target : bool
        Whether y is one-dimensional.
    y_dtype : type
        Of predictions.
    """

    X: AffineMap
    y: AffineMap
    single_target: bool
    y_dtype: type

    @property
    def gradient(self) -> NDArray[np.float64]:
        """What 1 in the network's gradient means, (n_features, n_outputs); 0 along constants."""
        return quotient(self.y.scale, self.X.scale[:, None])

    @property
    def hessian(self) -> NDArray[np.float64]:
        """What 1 in the network's Hessian means, (n_features, n_features, n_outputs)."""
        return quotient(self.gradient, self.X.scale[:, None, None])

    @property
    def laplacian(self) -> NDArray[np.float64]:
        """What 1 in the network's `laplacian_operator` means, (n_outputs,)."""
        return self.y.scale / self._smallest_scale / self._smallest_scale

    @property
    def laplacian_operator(self) -> list[tuple[int, int, float]]:
        """The Laplacian by the user's coordinates as a quadratic form in the network's."""
        relative = quotient(self._smallest_scale, self.X.scale) ** 2
        return [(j, j, float(factor)) for j, factor in enumerate(relative) if factor > 0]

    @property
    def _smallest_scale(self) -> np.float64:
        varying = self.X.scale[self.X.scale > 0]
        return np.float64(varying.min() if varying.size else 1)


def quotient(numbers: NDArray[Any] | np.float64, scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide numbers by a scale, which is 0 where they do not vary: what they are then, too."""
    result: NDArray[np.float64] = numbers / np.where(scale > 0, scale, np.inf)
    return result


def _range_within(
    table: NDArray[Any], lowest: NDArray[np.float64], highest: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return the extremes of the columns between two bounds, and how many values are there."""
    low, high = np.full((2, table.shape[1]), [[np.inf], [-np.inf]])
    count = np.zeros(table.shape[1], np.int64)
    for chunk in gen_batches(len(table), CHUNK_SIZE):
        part = table[chunk]
        inside = (part >= lowest) & (part <= highest)
        low = np.minimum(low, np.where(inside, part, np.inf).min(axis=0))
        high = np.maximum(high, np.where(inside, part, -np.inf).max(axis=0))
        count += inside.sum(axis=0)
    return low, high, count
