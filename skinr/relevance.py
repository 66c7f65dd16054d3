"""How fast values change along each feature, over the fastest.

First weights that are alike for all features suit functions that change as fast along each of them.
Of others few rows show little to such a network, and much to a Gaussian process that has a length
of its own for each feature ([1], section 5.1: automatic relevance determination).

.. [1] Rasmussen, Williams. Gaussian Processes for Machine Learning. MIT Press 2006.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import inf, sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import threshold

from skinr.evidence import log_evidence
from skinr.rows import Table
from skinr.scaling import AffineMap

LENGTHS = tuple(2.0 ** np.arange(-6.5, 3.0))
"""Length scales that a feature may have, in units of half of its range."""

NOISES = 1e-6, 1e-2, 0.5
"""Variances of the noise that come into question, over that of the function."""

LARGEST_STEP = 2
"""How far one length may move at a time, among `LENGTHS`."""

MOST_FEATURES = 20
"""Most features that may vary: with more, a search among their lengths takes too long."""

MOST_ROWS, MOST_DISTANCES = 500, 750_000
"""Rows, and distances along all features, that are looked at of a table."""

LARGE_TABLE, MORE_ROWS = 2048, 1.5
"""Rows from which on so many times as many are looked at, in little of the time of a fit."""

LEAST_EXPONENT = -46.0
"""Of covariances, 1e-20, below which they are taken for 0: smaller ones and their products are
denormal numbers, for each of which a processor takes as long as for many others."""

PLAIN_GAIN = 10.0
"""In nats: by how much more probable the values must be with lengths that differ."""

PLAIN_RATIO = 1 / 3
"""Above this part of the largest, relevances are taken for 1."""

LEAST = 0.03
"""The least relevance: smaller ones do no better."""

Lengths = tuple[int, ...]
Array = NDArray[np.float64]


def relevances(table: Table) -> Array:
    """Return the shortest length scale of all features over that of each.

    Parameters
    ----------
    table : Table
        Of values alone, all known.

    Returns
    -------
    relevances : ndarray of shape (n_features,)
        In [0.03, 1]: 1 for the features along which values change fastest, and for all of them
        where nothing else is plain.
    """
    units = AffineMap.from_usual_range(table.X)
    found = np.ones(len(units.scale))
    (varying,) = np.nonzero(units.scale)
    if not 1 < len(varying) <= MOST_FEATURES:
        return found
    factor = MORE_ROWS if len(table.X) > LARGE_TABLE else 1.0
    n_rows = int(factor * min(MOST_ROWS, sqrt(MOST_DISTANCES / len(varying))))
    few = table.take(np.random.default_rng(0).permutation(len(table.X))[:n_rows])
    lengths = _most_probable(_evidence(few, units.normalize(few.X)[:, varying]), len(varying))
    ratios = min(lengths) / lengths
    found[varying] = np.where(ratios > PLAIN_RATIO, 1.0, ratios.clip(LEAST))
    return found


def _most_probable(evidence: Callable[[Lengths], float], n_features: int) -> Array:
    """Return the lengths of the largest evidence, equal ones unless others are plainly better."""
    longest = len(LENGTHS) - 1
    equal = max(((k,) * n_features for k in range(len(LENGTHS))), key=evidence)
    alone = [
        tuple(k if j == feature else longest for j in range(n_features))
        for feature in range(n_features)
        for k in range(0, longest, LARGEST_STEP)
    ]
    best, found = max([equal, *alone], key=evidence), None
    while best != found:
        found = best
        for feature in range(n_features):
            best = max([best, *_near(best, feature)], key=evidence)
    is_plain = evidence(found) > evidence(equal) + PLAIN_GAIN
    return np.array([LENGTHS[k] for k in (found if is_plain else equal)])


def _near(lengths: Lengths, feature: int) -> list[Lengths]:
    """Return those of which the length of one feature is another."""
    first, last = lengths[feature] - LARGEST_STEP, lengths[feature] + LARGEST_STEP
    return [
        (*lengths[:feature], k, *lengths[feature + 1 :])
        for k in range(max(0, first), min(last, len(LENGTHS) - 1) + 1)
    ]


def _evidence(table: Table, coordinates: Array) -> Callable[[Lengths], float]:
    """Return a function of lengths: how probable they make the values, in nats."""
    X, y, weight = (
        torch.from_numpy(np.asarray(part, np.float64))
        for part in (coordinates, table.y, table.weights)
    )
    squares = [(column[:, None] - column).square_() for column in X.T]
    y = y - (weight[:, None] * y).sum(dim=0) / weight.sum()
    y = y[:, y.any(dim=0)]
    y = y / y.abs().amax(dim=0)

    @cache
    def evidence(lengths: Lengths) -> float:
        exponent = torch.zeros_like(squares[0])
        for square, k in zip(squares, lengths, strict=True):
            exponent.sub_(square, alpha=0.5 / LENGTHS[k] ** 2)
        covariance = threshold(exponent, LEAST_EXPONENT, -inf).exp_()
        return y.numel() * max(log_evidence(covariance, noise / weight, y) for noise in NOISES)

    return evidence
