"""Error bars: what the members of an ensemble say about the error of their mean."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, sqrt
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skinr.ensemble import mean_of_members
from skinr.network import SirenStack
from skinr.passes import evaluate
from skinr.rows import TrainingRows
from skinr.scaling import Units

QUANTILE = 0.975
"""The end of the 95% interval, which is what deviations are to be right about."""

FEWEST_FOR_QUANTILE = 19
"""Values of which one is beyond 95% of new ones; of fewer the mean square says more."""

Values = NDArray[np.floating[Any]]


class ErrorBarsMixin:
    """Standard deviations of the predictions of an ensemble in units."""

    _units: Units
    _evaluate: Callable[..., Values]
    noise_: NDArray[np.float64] | None

    def _values_and_std(self, X: ArrayLike) -> tuple[Values, Values]:
        check_is_fitted(self)
        noise = self.noise_
        if noise is None:
            raise ValueError(
                "return_std=True takes the spread of an ensemble, and this fit has a single "
                "network: fit again with n_estimators of 2 or more, 8 for instance, and time for "
                "the second of them."
            )

        def restore(part: Values) -> Values:
            std = np.hypot(part[:, 1] * self._units.y.scale, noise)
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
        Of two members or more.

    Returns
    -------
    spread : Tensor of shape (n, p)

    References
    ----------
    .. [1] Gelman, Carlin, Stern, Dunson, Vehtari, Rubin. Bayesian Data Analysis. CRC Press 2013.
       Section 3.2, on the posterior predictive distribution of a future observation.
    """
    n_members = len(values)
    factor = float(stdtrit(n_members - 1, QUANTILE) / ndtri(QUANTILE)) * sqrt(1 + 1 / n_members)
    return values.std(dim=0) * factor


@torch.no_grad()
def noise_of_unseen(stack: SirenStack, rows: TrainingRows) -> NDArray[np.float64]:
    r"""Return the standard deviation of the noise, from rows that members were not fitted to.

    Residuals of one row under two members that have not seen it have the noise in common, and what
    all members miss, but not what sets the members apart: the mean of their products is
    :math:`\sigma^2`, and the mean over all pairs of U members is :math:`\bar r^2 - s^2 / U` for
    residuals of mean :math:`\bar r` and standard deviation s. Members that have memorised the noise
    of their own rows do not hide it so. As intervals are to hold 95% of new values, wherever the
    errors are, :math:`\sigma^2` is taken from the quantile of the products in place of their mean,
    as split conformal prediction does ([1]_), where there are enough of them for one.

    Parameters
    ----------
    stack : SirenStack of K networks
    rows : TrainingRows
        Values alone, in G sets, the first for the first K // G networks, and so on. NaN marks a
        value that a row does not have.

    Returns
    -------
    noise : ndarray of shape (n_outputs,)
        For rows of weight 1, in units of the targets; 0 for an output without any value.

    References
    ----------
    .. [1] Lei, G'Sell, Rinaldo, Tibshirani, Wasserman. Distribution-Free Predictive Inference for
       Regression. Journal of the American Statistical Association 113, 2018.
    """
    n_sets, n_rows, n_outputs = rows.targets.shape
    n_judges = len(stack) // n_sets
    predictions = evaluate(stack, rows.coordinates.flatten(0, 1)[None])[: n_sets * n_judges]
    shape = n_sets, n_judges, n_sets, n_rows, n_outputs
    own = predictions.cpu().double().view(shape).diagonal(dim1=0, dim2=2).permute(0, 3, 1, 2)
    residuals = rows.targets.cpu().double() - own
    products = residuals.mean(dim=0).square() - residuals.var(dim=0) / n_judges
    if rows.weight is not None:
        products *= rows.weight.cpu()
    columns = products.flatten(0, 1).T.numpy()
    return np.sqrt([_variance(column[np.isfinite(column)]) for column in columns])


def _variance(products: NDArray[np.float64]) -> float:
    """Return that of a normal distribution of which 95% do not exceed what 95% of these do not."""
    n_products = len(products)
    if n_products == 0:
        return 0.0
    if n_products < FEWEST_FOR_QUANTILE:
        return max(0.0, float(products.mean()))
    rank = ceil((2 * QUANTILE - 1) * (n_products + 1))
    return max(0.0, float(np.sort(products)[rank - 1])) / float(ndtri(QUANTILE)) ** 2


def noise_of_stream(
    earlier: NDArray[np.float64], stack: SirenStack, rows: TrainingRows
) -> NDArray[np.float64]:
    """Return the noise after a piece of a stream, of which few rows tell less than those before.

    Parameters
    ----------
    earlier : ndarray of shape (n_outputs,)
        Before the piece.
    stack, rows
        As :func:`noise_of_unseen` takes them.
    """
    n_known = rows.targets.isfinite().sum(dim=(0, 1)).numpy(force=True)
    share = np.minimum(1.0, n_known / FEWEST_FOR_QUANTILE)
    variance: NDArray[np.float64] = (
        share * noise_of_unseen(stack, rows) ** 2 + (1 - share) * earlier**2
    )
    return np.sqrt(variance)
