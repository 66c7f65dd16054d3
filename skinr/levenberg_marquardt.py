"""Damped Gauss-Newton steps of one network, each solved in the space of the rows."""

from __future__ import annotations

import torch
from torch import Tensor

from skinr.evidence import NOISES, TINY, LinearModel
from skinr.jacobian import Evaluation, Jacobian, Observations, evaluate_network
from skinr.network import SirenStack

FIRST_DAMPING = 1e-2
"""The first damping, as a share of the mean variance that the weights explain."""

LEAST_FACTOR = 1 / 27
"""What the damping is multiplied by after a step that helped as much as expected."""

FAITHFUL = 0.75
"""Share of the expected gain below which a step is corrected."""

MOST_CORRECTION = 0.375
"""Length of a correction over that of the step, beyond which it is not trusted."""

MAX_ATTEMPTS = 10
"""Rises of the damping in search of a step that helps."""


class LevenbergMarquardt:
    r"""A network that moves, step by step, to where it suits the rows.

    With m residuals r of the Jacobian J, initial weights :math:`w_0` and the noise c, steps lower
    :math:`\|r\|^2 / m + c \|w - w_0\|^2`. They are Levenberg's and Marquardt's ([1]_; the damping
    is that of [2]_, section 3.2), each solved with the matrix :math:`S = J J^T / m` of the
    residuals. A step that gains less than the linearised model expects is corrected for what that
    has missed: by half the acceleration of [3]_ (section 4), whose second derivative is taken as
    the difference over the whole step.

    Parameters
    ----------
    stack : SirenStack
        Of one network, in float64 on the CPU; updated in place.
    observed : Observations
        What it is fitted to.
    anchor : Tensor of shape (1, n_parameters) or None
        The initial weights, where the stack has others.

    Attributes
    ----------
    anchor : Tensor of shape (1, n_parameters)
    at : Evaluation
        The network where it is.
    model : LinearModel
        What it is linearised there.
    noise : float
        c; 0 until it is set.

    References
    ----------
    .. [1] Marquardt. An Algorithm for Least-Squares Estimation of Nonlinear Parameters. Journal of
       SIAM 11(2), 1963.
    .. [2] Madsen, Nielsen, Tingleff. Methods for Non-Linear Least Squares Problems. DTU, 2004.
    .. [3] Transtrum, Sethna. Improvements to the Levenberg-Marquardt algorithm for nonlinear
       least-squares minimization. 2012. arXiv:1201.5885.
    """

    def __init__(self, stack: SirenStack, observed: Observations, anchor: Tensor | None) -> None:
        self._stack = stack
        self._observations = observed
        self.anchor = stack.parameters.clone() if anchor is None else anchor
        self._accept(self._evaluate(stack.parameters.clone()))
        self.noise = 0.0
        self._damping = FIRST_DAMPING * self.model.scale

    def move(self) -> bool:
        """Take a step that lowers the objective, with as much damping as that needs.

        Returns
        -------
        has_moved : bool
            False where no damping makes a step help.
        """
        rise = 2.0
        for _ in range(MAX_ATTEMPTS):
            factor = self.model.factor(self.noise + self._damping)
            if factor is not None:
                trial, gain = self._try(factor)
                if gain > 0:
                    self._damping *= max(LEAST_FACTOR, 1 - (2 * min(gain, 1.0) - 1) ** 3)
                    self._accept(trial)
                    return True
            self._damping = max(self._damping, NOISES[0] * self.model.scale) * rise
            rise *= 2
        return False

    @property
    def objective(self) -> float:
        """What steps lower, as of now."""
        return self._objective(self.at)

    def _evaluate(self, parameters: Tensor) -> Evaluation:
        return evaluate_network(self._stack, self._observations, parameters)

    def _accept(self, evaluation: Evaluation) -> None:
        """Go there, and set what the linearised model is there."""
        self.at = evaluation
        self._stack.parameters.copy_(evaluation.parameters)
        self._jacobian = Jacobian(self._stack, self._observations, evaluation)
        self._explained = self._jacobian.times(evaluation.parameters - self.anchor)
        target = evaluation.residual + self._explained
        self.model = LinearModel(self._jacobian.gram(), target)

    def _objective(self, evaluation: Evaluation) -> float:
        moved = self._length(evaluation.parameters - self.anchor)
        return evaluation.loss + self.noise * moved**2

    def _length(self, direction: Tensor) -> float:
        """Return the length of a direction of the folded parameters, in those of the prior."""
        return float((direction / self._stack.frequencies).norm())

    def _try(self, factor: Tensor) -> tuple[Evaluation, float]:
        """Return where a damped step leads, and what it gains over what is expected of it."""
        step, expected_residual = self._propose(factor)
        trial = self._evaluate(self.at.parameters + step)
        before, after = self._objective(self.at), self._objective(trial)
        expected = after - trial.loss + float(expected_residual.square().mean())
        expected_fall = max(before - expected, TINY)
        if before - after < FAITHFUL * expected_fall:
            missed = trial.residual - expected_residual
            correction = self._correction(factor, missed, MOST_CORRECTION * self._length(step))
            if correction is not None:
                corrected = self._evaluate(trial.parameters + correction)
                if self._objective(corrected) < after:
                    trial, after = corrected, self._objective(corrected)
        return trial, (before - after) / expected_fall

    def _propose(self, factor: Tensor) -> tuple[Tensor, Tensor]:
        """Return a damped step, and what residual the linearised model expects after it."""
        total = self.noise + self._damping
        shrink = self.noise / total
        solved = _solve(factor, self.at.residual + shrink * self._explained)
        step = self._direction(solved) - shrink * (self.at.parameters - self.anchor)
        return step, total * solved

    def _correction(self, factor: Tensor, missed: Tensor, most: float) -> Tensor | None:
        """Return what explains the residual that a step has missed, unless that is too long."""
        solved = _solve(factor, missed)
        explained = missed - (self.noise + self._damping) * solved
        squared_length = float(solved @ explained) / len(solved)
        return self._direction(solved) if squared_length <= most**2 else None

    def _direction(self, solved: Tensor) -> Tensor:
        """Return the change of the folded parameters that a solution of the rows stands for."""
        return self._jacobian.transpose_times(solved) / len(solved)


def _solve(factor: Tensor, target: Tensor) -> Tensor:
    return torch.cholesky_solve(target[:, None], factor)[:, 0]
