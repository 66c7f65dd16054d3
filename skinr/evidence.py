"""What a linearised network makes of a small table: how much is noise, and how well rows agree."""

from __future__ import annotations

from functools import cache
from math import inf, log
from typing import NamedTuple

import torch
from torch import Tensor

NOISES = [10.0**exponent for exponent in range(-14, 3)]
"""What the noise is chosen from, over the scale; less is no different in float64."""

MOST_RISES = 10
"""Of the noise by ten, until float64 can solve for it."""

TINY = 1e-300
"""Keeps logarithms of nothing finite."""


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

    References
    ----------
    .. [1] MacKay. Bayesian Interpolation. Neural Computation 4(3), 1992.
    .. [2] Rasmussen, Williams. Gaussian Processes for Machine Learning. MIT Press 2006.
    """

    gram: Tensor
    target: Tensor

    @property
    def scale(self) -> float:
        """The mean variance that the weights explain."""
        return float(self.gram.diagonal().mean()) or 1.0

    def factor(self, shift: float) -> Tensor | None:
        """Return the Cholesky factor of S + shift, where float64 has one."""
        shifted = self.gram.clone()
        shifted.diagonal().add_(shift)
        factor, failed = torch.linalg.cholesky_ex(shifted)
        return None if failed else factor

    def evidence(self, noise: float) -> float:
        """Return the logarithm of the probability of the targets under the best variance ([1]_).

        In nats for each of them, but for a constant; -inf where float64 has no factor of K.
        """
        factor = self.factor(noise)
        if factor is None:
            return -inf
        whitened = torch.linalg.solve_triangular(factor, self.target[:, None], upper=False)
        misfit = float(whitened.square().mean())
        return -float(factor.diagonal().log().mean()) - log(max(misfit, TINY)) / 2

    def most_probable_noise(self, start: int | None) -> tuple[int, float]:
        """Return which of `NOISES` has the largest evidence, and that.

        Of all, or uphill from a start.
        """
        scale = self.scale
        evidence = cache(lambda index: self.evidence(scale * NOISES[index]))
        best = max(range(len(NOISES)), key=evidence) if start is None else start
        while True:
            near = range(max(0, best - 1), min(best + 2, len(NOISES)))
            better = max(near, key=evidence)
            if evidence(better) <= evidence(best):
                return best, evidence(best)
            best = better

    def leave_one_out(self, noise: float) -> tuple[Tensor, Tensor]:
        """Return :math:`K^{-1} t` and the diagonal of :math:`K^{-1}`, both (m,).

        The noise is as much larger as float64 needs.
        """
        factors = (self.factor(noise * 10.0**rise) for rise in range(MOST_RISES))
        factor = next(factor for factor in factors if factor is not None)
        solved = torch.cholesky_solve(self.target[:, None], factor)[:, 0]
        return solved, torch.cholesky_inverse(factor).diagonal()

    def error_of_unseen(self, noise: float) -> float:
        r"""Return the root mean square of what is missed of a number that all others predict.

        :math:`[K^{-1} t]_i / [K^{-1}]_{ii}` for number i ([2]_, section 5.4.2).
        """
        solved, diagonal = self.leave_one_out(noise)
        return float((solved / diagonal).square().mean().sqrt())

    def variance_of_functions(self, noise: float) -> float:
        r"""Return the mean variance that the weights give the values.

        :math:`t^T K^{-1} t / m` times the scale: the variance that the evidence takes.
        """
        solved, _ = self.leave_one_out(noise)
        return float((solved * self.target).mean()) * self.scale

    def noise_of_outputs(self, noise: float, output: Tensor, n_outputs: int) -> Tensor:
        r"""Return the standard deviation (p,) of the noise of each output, at weight 1.

        Residuals are :math:`c K^{-1} t`, of covariance :math:`\sigma^2 c K^{-1}`.

        Parameters
        ----------
        noise : float
            c.
        output : Tensor of shape (m,)
            Which output a target is of.
        n_outputs : int
            p.
        """
        solved, diagonal = self.leave_one_out(noise)
        sums = solved.new_zeros(2, n_outputs)
        sums.index_add_(1, output, torch.stack([solved.square(), diagonal]))
        return (noise * sums[0] / sums[1]).sqrt()
