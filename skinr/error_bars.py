"""Error bars: what the members of an ensemble say about the error of their mean."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit
from torch import Tensor

from skinr.ensemble import mean_of_members
from skinr.network import SirenStack
from skinr.passes import evaluate
from skinr.rows import TrainingRows
from skinr.scaling import Units

FEWEST_PARTS = 10
"""Parts that the rows are dealt into, of which each member leaves one out; or one a member."""

MOST_LEFT_OUT = 1000
"""Rows that a member leaves out: the noise is known to one percent by them."""

QUANTILE = 0.975
"""Where the deviation of few members and that of many are to mean the same: the 95% interval."""

NOISES = np.geomspace(1e-10, 10, 500)
"""Variances that the noise is chosen from, in units of the mean squared residual, 5% apart."""

Values = NDArray[np.floating[Any]]


class ErrorBarsMixin:
    """Standard deviations of the predictions of an ensemble in units."""

    _units: Units
    _evaluate: Callable[..., Values]
    noise_: NDArray[np.float64] | None

    def _values_and_std(self, X: ArrayLike) -> tuple[Values, Values]:
        def restore(part: Values) -> Values:
            if self.noise_ is None:
                raise ValueError(
                    "return_std=True takes the spread of an ensemble, and this is a single "
                    "network: set n_estimators to 2 or more, 8 for instance, and fit again."
                )
            std = np.hypot(part[:, 1] * self._units.y.scale, self.noise_)
            return np.stack([self._units.y.restore(part[:, 0]), std], axis=1)

        def reduce(values: Tensor) -> Tensor:
            return torch.stack([mean_of_members(values), spread(values)], dim=1)

        both = self._evaluate(X, evaluate, restore, reduce=reduce)
        values, std = both[:, 0], both[:, 1]
        return (values[:, 0], std[:, 0]) if self._units.single_target else (values, std)


def spread(values: Tensor) -> Tensor:
    r"""Return the standard deviation of the truth around the mean of few members.

    The truth is taken for one more draw of what the K members are drawn from. Then it lies within
    :math:`t_{K-1} s \sqrt{1 + 1/K}` of their mean, s being their standard deviation and
    :math:`t_{K-1}` Student's quantile ([1]_). That half-width of the 95% interval is returned over
    the one of a standard normal distribution.

    Parameters
    ----------
    values : Tensor of shape (K, n, p)

    Returns
    -------
    spread : Tensor of shape (n, p)
        0 for one member, which says nothing.

    References
    ----------
    .. [1] Gelman, Carlin, Stern, Dunson, Vehtari, Rubin. Bayesian Data Analysis. CRC Press 2013.
       Section 3.2, on the posterior predictive distribution of a future observation.
    """
    n_members = len(values)
    if n_members == 1:
        return torch.zeros_like(values[0])
    factor = float(stdtrit(n_members - 1, QUANTILE) / ndtri(QUANTILE)) * sqrt(1 + 1 / n_members)
    return values.std(dim=0) * factor


def deal(
    n_rows: int, n_members: int, share: int, random: np.random.RandomState
) -> NDArray[np.intp]:
    """Deal rows to members at random, different ones to each as far as they go.

    Parameters
    ----------
    n_rows, n_members : int
    share : int
        Rows that each member gets.
    random : RandomState

    Returns
    -------
    index : ndarray of shape (n_members, share)
    """
    turns = np.arange(n_members * share).reshape(n_members, share) % n_rows
    dealt: NDArray[np.intp] = random.permutation(n_rows)[turns]
    return dealt


def n_left_out(n_rows: int, n_members: int) -> int:
    """Return how many of the rows a member is not fitted to."""
    return min(max(1, n_rows // max(n_members, FEWEST_PARTS)), MOST_LEFT_OUT)


@torch.no_grad()
def noise_of_unseen(stack: SirenStack, rows: TrainingRows) -> NDArray[np.float64]:
    r"""Return the standard deviation of the noise, from rows that members were not fitted to.

    The residual of such a row under its member is the error of the function and noise:
    :math:`N(0, s^2 + \sigma^2 / \text{weight})`, s being the :func:`spread`. :math:`\sigma` is
    what makes the residuals most probable. A member that has memorised the noise of its own rows
    does not hide it so.

    Parameters
    ----------
    stack : SirenStack of K networks
    rows : TrainingRows
        Values alone, in one set: as many rows for each member, one member after the other. NaN
        marks a value that a row does not have.

    Returns
    -------
    noise : ndarray of shape (n_outputs,)
        In units of the targets; 0 for an output without any value.
    """
    n_members, n_outputs = len(stack), stack.architecture.n_outputs
    predictions = evaluate(stack, rows.coordinates).double()
    own = predictions.view(n_members, n_members, -1, n_outputs).diagonal().permute(2, 0, 1)
    squares = (rows.targets[0].double() - own.reshape(-1, n_outputs)).square()
    variances = spread(predictions).square()
    weight = torch.ones_like(squares[:, 0]) if rows.weight is None else rows.weight[0, :, 0]
    return np.array(
        [
            _most_probable(*(part.cpu().numpy() for part in (square, variance, weight.double())))
            for square, variance in zip(squares.T, variances.T, strict=True)
        ]
    )


def _most_probable(squares: Values, variances: Values, weight: Values) -> float:
    """Return the noise under which squared residuals are most probable, 0 if there are none."""
    known = np.isfinite(squares)
    squares, variances, weight = squares[known], variances[known], weight[known]
    if not squares.any():
        return 0.0

    def surprise(noise: float) -> float:
        total = variances + noise / weight
        return float(np.sum(np.log(total) + squares / total))

    return sqrt(min(NOISES * np.mean(weight * squares), key=surprise))
