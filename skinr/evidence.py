"""What a linearised network makes of a small table: how much is noise, and how well rows agree."""

from __future__ import annotations

from functools import cache
from math import inf
from typing import NamedTuple

import torch
from torch import Tensor

NOISES = [10.0**exponent for exponent in range(-14, 3)]
"""Candidates for the noise, over the scale of S; below 1e-14 rounding in float64 dominates."""

N_BELOW_FUNCTION = NOISES.index(1.0) + 1
"""How many of them are not larger than what the weights explain."""

HARDLY_LESS = 1.0
"""Noises whose evidence differs by less, in nats, count as equally probable."""

MOST_RISES = 10
"""Noises, each ten times the one before, with which float64 may factor the covariance."""

TINY = 1e-300
"""Keeps logarithms of nothing finite."""


def log_evidence(covariance: Tensor, noise: Tensor | float, targets: Tensor) -> float:
    """Return how probable a Gaussian process makes targets, each column under its best variance.

    Parameters
    ----------
    covariance : Tensor of shape (m, m)
        Its lower triangle is what is looked at.
    noise : Tensor of shape (m,) or float
        What it adds to the diagonal.
    targets : Tensor of shape (m, p)

    Returns
    -------
    log_evidence : float
        In nats for each target, but for a constant; -inf where float64 has no factor of the sum.

    References
    ----------
    .. [1] MacKay. Bayesian Interpolation. Neural Computation 4(3), 1992.
    """
    factor = _factor(covariance, noise)
    if factor is None:
        return -inf
    whitened = torch.linalg.solve_triangular(factor, targets, upper=False)
    misfit = whitened.square().mean(dim=0).clamp_min(TINY)
    return -float(factor.diagonal().log().mean()) - float(misfit.log().mean()) / 2


def _factor(covariance: Tensor, noise: Tensor | float) -> Tensor | None:
    """Return the Cholesky factor of a covariance with noise, where float64 has one."""
    noisy = covariance.clone()
    noisy.diagonal().add_(noise)
    factor, failed = torch.linalg.cholesky_ex(noisy)
    return None if failed else factor


class LinearModel(NamedTuple):
    r"""Targets as a Gaussian process sees them whose kernel is that of a linearised network.

    Weights of variance 1 explain the targets t with covariance S, and noise adds c: the targets are
    of covariance :math:`K = S + c`, times a variance that is free.

    Parameters
    ----------
    gram : Tensor of shape (m, m)
        S; its lower triangle is what is looked at.
    target : Tensor of shape (m,)
        t, from the initial weights on.
    """

    gram: Tensor
    target: Tensor

    @property
    def scale(self) -> float:
        """The mean variance that the weights explain."""
        return float(self.gram.diagonal().mean()) or 1.0

    def factor(self, noise: float) -> Tensor | None:
        """Return the Cholesky factor of K, where float64 has one."""
        return _factor(self.gram, noise)

    def evidence(self, noise: float) -> float:
        """Return the logarithm of the probability of the targets, as :func:`log_evidence` does."""
        return log_evidence(self.gram, noise, self.target[:, None])

    def most_probable_noise(
        self, start: int | None, n_noises: int, most: float = inf
    ) -> tuple[int, float]:
        """Return which of the first `n_noises` of `NOISES` has the largest evidence, and that.

        Of all of them, or uphill from `start`; a lower one where its variance is above `most`.
        """
        scale = self.scale
        evidence = cache(lambda index: self.evidence(scale * NOISES[index]))
        best = max(range(n_noises), key=evidence) if start is None else min(start, n_noises - 1)
        while True:
            near = range(max(0, best - 1), min(best + 2, n_noises))
            better = max(near, key=evidence)
            if not evidence(better) > evidence(best):
                break
            best = better
        while best and self._exceeds(best, most):
            best -= 1
        return best, evidence(best)

    def largest_noise(self, probable: int, n_noises: int, most: float = inf) -> int:
        """Return the largest of the first `n_noises` that is hardly less probable than `probable`.

        Few rows may be as probable without noise as with much of it. None has a variance above
        `most` unless `probable` has.
        """
        least = self.evidence(self.scale * NOISES[probable]) - HARDLY_LESS / len(self.target)
        for index in range(probable + 1, n_noises):
            is_probable = self.evidence(self.scale * NOISES[index]) >= least
            if not is_probable or self._exceeds(index, most):
                return index - 1
        return n_noises - 1

    def _exceeds(self, index: int, most: float) -> bool:
        """Return whether one of `NOISES` has a larger variance."""
        return most < inf and self.explain(self.scale * NOISES[index]).least_objective > most

    def explain(self, noise: float) -> Explanation:
        """Return what becomes of the targets, under as much more noise as float64 needs.

        Raises
        ------
        ValueError
            If that is not finite.
        """
        for rise in range(MOST_RISES):
            raised = noise * 10.0**rise
            factor = self.factor(raised)
            if factor is not None:
                return Explanation(factor, self.target, raised)
        raise ValueError(
            "Values and derivatives, or derivatives and units of 1, differ by more orders of "
            "magnitude than float64 can square. Give them in other units."
        )


class Explanation:
    """What a :class:`LinearModel` makes of its targets under a noise.

    Parameters
    ----------
    factor : Tensor of shape (m, m)
        The Cholesky factor of K.
    target : Tensor of shape (m,)
    noise : float
        c.

    References
    ----------
    .. [1] Rasmussen, Williams. Gaussian Processes for Machine Learning. MIT Press 2006.
    """

    def __init__(self, factor: Tensor, target: Tensor, noise: float) -> None:
        self._factor = factor
        self._solved = torch.cholesky_solve(target[:, None], factor)[:, 0]
        self._noise = noise
        self.variance = float((self._solved * target).mean())
        r"""The one that is free: :math:`t^T K^{-1} t / m`."""

    @property
    def least_objective(self) -> float:
        r"""The least of :math:`\|r\|^2 / m + c \|w\|^2`, for weights w and residuals r."""
        return self._noise * self.variance

    def leave_one_out_error(self) -> float:
        r"""Return the root mean square of what is missed of a number that all others predict.

        :math:`[K^{-1} t]_i / [K^{-1}]_{ii}` for number i ([1]_, section 5.4.2).
        """
        return float((self._solved / self._inverse_diagonal()).square().mean().sqrt())

    def noise_of_outputs(self, output: Tensor, n_outputs: int) -> Tensor:
        r"""Return the standard deviation (p,) of the noise of each output, at weight 1.

        Residuals are :math:`c K^{-1} t`, of covariance :math:`\sigma^2 c K^{-1}`.

        Parameters
        ----------
        output : Tensor of shape (m,)
            Which output a target is of.
        n_outputs : int
            p.
        """
        sums = self._solved.new_zeros(2, n_outputs)
        sums.index_add_(1, output, torch.stack([self._solved.square(), self._inverse_diagonal()]))
        return (self._noise * sums[0] / sums[1]).sqrt()

    def _inverse_diagonal(self) -> Tensor:
        return torch.cholesky_inverse(self._factor).diagonal()
