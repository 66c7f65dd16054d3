"""Small tables by least squares: Levenberg–Marquardt in the space of the rows.

A step solves for as many unknowns as there are numbers to fit, not for the weights, of which there
are a hundred times more. How much of the residuals is noise, and which network suits the rows, is
read from the evidence.
"""

from __future__ import annotations

from math import inf, log
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from skinr.network import SirenStack
from skinr.rows import TrainingRows
from skinr.training import History, Monitor

FIRST_DAMPING = 1e-2
"""As a share of the mean variance that the weights explain."""

NOISES = [10.0**exponent for exponent in range(-14, 3)]
"""What the noise is chosen from, as such a share; less is no different in float64."""

LEAST_FACTOR = 1 / 9
"""Of the damping, after a step that helped as much as expected."""

MAX_ATTEMPTS = 10
"""Rises of the damping in search of a step that helps."""

REVIEW_INTERVAL = 5
"""Steps between two choices of the noise, and those after which networks are compared."""

MOST_RACE_ROWS = 300
"""Rows on which networks are compared."""

PATIENCE = 2
"""Reviews in which the objective must fall by `LEAST_GAIN`."""

LEAST_GAIN = 0.25
"""In nats."""

INVISIBLE = 1e-11
"""Share of the mean squared target that the float32 of predictions does not show."""

TINY = 1e-300
"""Keeps logarithms of nothing finite."""


class Evaluation(NamedTuple):
    """A network at some weights.

    Parameters
    ----------
    parameters : Tensor of shape (1, n_parameters)
    inputs : list of Tensor (n, fan_in)
        What each layer takes in.
    cosines : list of Tensor (n, fan_out)
        Of what each sine layer sums up.
    residual : Tensor of shape (n, p)
        Targets less predictions, times the root of the weight of the row.
    loss : float
        The mean square of `residual`.
    """

    parameters: Tensor
    inputs: list[Tensor]
    cosines: list[Tensor]
    residual: Tensor
    loss: float


class Findings(NamedTuple):
    """What one network has found out about a table, for others of the same.

    Parameters
    ----------
    noise : float
        The c that :class:`LeastSquaresFit` describes, over the mean of the diagonal of S.
    close_enough : float
        A mean squared residual below which more steps are of no use.
    """

    noise: float
    close_enough: float


class LeastSquaresFit:
    r"""One network on its way to the rows of a small table.

    Weights have the prior :math:`N(w_0, \sigma_w^2)` around their initial values :math:`w_0`, and
    targets the noise :math:`N(0, \sigma^2 / \text{weight})`. With
    :math:`c = \sigma^2 / (m \sigma_w^2)` for m residuals r of the Jacobian J, the fit minimises
    :math:`\|r\|^2 / m + c \|w - w_0\|^2` by damped Gauss-Newton steps ([1]_; the damping is that of
    [2]_, section 3.2), each solved with the matrix :math:`S = J J^T / m` of the residuals. c is the
    one under which the linearised model makes the targets most probable ([3]_, section 3; [4]_ for
    both together).

    Parameters
    ----------
    stack : SirenStack
        Of one network, in float64 on the CPU; updated in place.
    rows : TrainingRows
        The same, with no target missing.
    found : Findings, optional
        Spares the search for the noise.
    anchor : Tensor of shape (1, n_parameters), optional
        The initial weights, where the stack has others.

    Attributes
    ----------
    losses : list of float
        The weighted mean squared residual before each step.
    evidence : float
        Logarithm of the probability of the targets as of the last :meth:`review`, in nats for each
        and but for a constant.

    References
    ----------
    .. [1] Marquardt. An Algorithm for Least-Squares Estimation of Nonlinear Parameters. Journal of
       SIAM 11(2), 1963.
    .. [2] Madsen, Nielsen, Tingleff. Methods for Non-Linear Least Squares Problems. DTU, 2004.
    .. [3] MacKay. Bayesian Interpolation. Neural Computation 4(3), 1992.
    .. [4] Foresee, Hagan. Gauss-Newton Approximation to Bayesian Learning. ICNN 1997.
    .. [5] Rasmussen, Williams. Gaussian Processes for Machine Learning. MIT Press 2006.
    """

    def __init__(
        self,
        stack: SirenStack,
        rows: TrainingRows,
        found: Findings | None = None,
        anchor: Tensor | None = None,
    ) -> None:
        self.stack = stack
        self.evidence = -inf
        self.losses: list[float] = []
        self._rows = rows
        self._root_weight = (
            torch.ones_like(rows.targets[0]) if rows.weight is None else rows.weight[0].sqrt()
        )
        self._invisible = INVISIBLE * float((rows.targets[0] * self._root_weight).square().mean())
        self._found = found
        if found is not None:
            self._invisible = max(self._invisible, found.close_enough)
        self._start = stack.parameters.clone() if anchor is None else anchor
        self._accept(self._evaluate(stack.parameters.clone()))
        self._damping = FIRST_DAMPING * self._scale()
        self._reviews: list[float] = []
        self._is_stuck = False

    @property
    def loss(self) -> float:
        """The weighted mean squared residual."""
        return self._at.loss

    @property
    def has_converged(self) -> bool:
        """Whether more steps would hardly change what is predicted."""
        if self._is_stuck or self.loss <= self._invisible:
            return True
        recent = self._reviews[-PATIENCE - 1 :]
        return len(recent) > PATIENCE and recent[0] - min(recent[1:]) < LEAST_GAIN

    @property
    def noise(self) -> float:
        """The noise c as of the last :meth:`review`, over the mean of the diagonal of S."""
        return self._noise / self._scale()

    @property
    def anchor(self) -> Tensor:
        """The initial weights, near which the prior holds those of the fit."""
        return self._start

    def history(self, interruption: str | None) -> History:
        """Return the course of the fit, and what ended it."""
        return History(np.array(self.losses)[:, None], None, np.zeros(1), interruption)

    def variance_of_functions(self) -> float:
        r"""Return the mean variance that the prior gives the values, :math:`t^T K^{-1} t / m` of S.

        K and t are those of :meth:`noise_of_rows`.
        """
        solved, _ = self._leave_one_out()
        return float((solved * self._linear_target()).mean()) * self._scale()

    def noise_of_rows(self) -> Tensor:
        r"""Return the standard deviation (p,) of the noise of each output, at weight 1.

        With :math:`K = S + c` the linearised residuals are :math:`c K^{-1} t` for targets t, of
        covariance :math:`\sigma^2 c K^{-1}`.
        """
        solved, diagonal = self._leave_one_out()
        return (self._noise * solved.square().sum(dim=0) / diagonal.sum(dim=0)).sqrt()

    def error_of_unseen(self) -> float:
        r"""Return the root mean square of what is missed of a row that all others predict.

        :math:`[K^{-1} t]_i / [K^{-1}]_{ii}` for row i, in the linearised model ([5]_, section
        5.4.2).
        """
        solved, diagonal = self._leave_one_out()
        return float((solved / diagonal).square().mean().sqrt())

    def review(self) -> None:
        """Take the noise that has been found, or that of the largest evidence."""
        if self._found is not None:
            self._noise = self._found.noise * self._scale()
        else:
            target = self._linear_target()
            candidates = [self._scale() * noise for noise in NOISES]
            self.evidence, self._noise = max((self._evidence_of(c, target), c) for c in candidates)
        self._reviews.append(log(max(self._objective(self._at), TINY)))

    def step(self) -> None:
        """Move the weights once, by a step that lowers the objective, where one can be found."""
        self.losses.append(self.loss)
        before, rise = self._objective(self._at), 2.0
        for _ in range(MAX_ATTEMPTS):
            factor = self._factor(self._noise + self._damping)
            if factor is not None:
                parameters, expected_loss = self._propose(factor)
                trial = self._evaluate(parameters)
                after = self._objective(trial)
                expected = after - trial.loss + expected_loss
                gain = (before - after) / max(before - expected, TINY)
                if gain > 0:
                    self._damping *= max(LEAST_FACTOR, 1 - (2 * min(gain, 1.0) - 1) ** 3)
                    self._accept(trial)
                    return
            self._damping = max(self._damping, NOISES[0] * self._scale()) * rise
            rise *= 2
        self._is_stuck = True

    def _evaluate(self, parameters: Tensor) -> Evaluation:
        inputs, cosines = [], []
        activation = self._rows.coordinates[0]
        layers = self.stack.layers(parameters)
        linear_output = self.stack.architecture.output_activation == "identity"
        for index, (weight, bias) in enumerate(layers):
            inputs.append(activation)
            activation = torch.addmm(bias[0], activation, weight[0])
            if index < len(layers) - 1 or not linear_output:
                cosines.append(activation.cos())
                activation = activation.sin()
        residual = (self._rows.targets[0] - activation) * self._root_weight
        return Evaluation(parameters, inputs, cosines, residual, float(residual.square().mean()))

    def _accept(self, evaluation: Evaluation) -> None:
        """Go there, and set derivatives (n, p, fan_out) by what each layer sums up, and S."""
        self._at = evaluation
        self.stack.parameters.copy_(evaluation.parameters)
        layers = self.stack.layers(evaluation.parameters)
        sensitivity = torch.diag_embed(self._root_weight.expand_as(evaluation.residual))
        if len(evaluation.cosines) == len(layers):
            sensitivity = sensitivity * evaluation.cosines[-1][:, None]
        self._sensitivities = [sensitivity]
        for index in range(len(layers) - 1, 0, -1):
            (weight, _), cosine = layers[index], evaluation.cosines[index - 1]
            sensitivity = (sensitivity @ weight[0].T) * cosine[:, None]
            self._sensitivities.insert(0, sensitivity)
        self._gram = self._gram_matrix()

    def _gram_matrix(self) -> Tensor:
        """Return S (m, m), a sum over layers: products of inputs times those of sensitivities."""
        n_rows, n_outputs = self._at.residual.shape
        gram = self._at.residual.new_zeros(n_rows, n_outputs, n_rows, n_outputs)
        squares = self.stack.layers(self.stack.frequencies.square())
        for layer_input, sensitivity, (square, _) in zip(
            self._at.inputs, self._sensitivities, squares, strict=True
        ):
            ahead = layer_input @ layer_input.T + 1
            flat = sensitivity.flatten(0, 1)
            behind = (flat @ flat.T).view_as(gram)
            gram.addcmul_(ahead[:, None, :, None], behind, value=float(square[0, 0, 0]))
        size = n_rows * n_outputs
        return gram.view(size, size) / size

    def _scale(self) -> float:
        return float(self._gram.diagonal().mean()) or 1.0

    def _factor(self, shift: float) -> Tensor | None:
        """Return the Cholesky factor of S + shift, where float64 has one."""
        shifted = self._gram.clone()
        shifted.diagonal().add_(shift)
        factor, failed = torch.linalg.cholesky_ex(shifted)
        return None if failed else factor

    def _evidence_of(self, noise: float, target: Tensor) -> float:
        factor = self._factor(noise)
        if factor is None:
            return -inf
        whitened = torch.linalg.solve_triangular(factor, target.view(-1, 1), upper=False)
        misfit = float(whitened.square().mean())
        return -float(factor.diagonal().log().mean()) - log(max(misfit, TINY)) / 2

    def _linear_target(self) -> Tensor:
        """Return what the linearised model has to explain (n, p) from the initial weights on."""
        return self._at.residual + self._times_jacobian(self._at.parameters - self._start)

    def _leave_one_out(self) -> tuple[Tensor, Tensor]:
        """Return the targets solved by S + c, and the diagonal of its inverse, both (n, p).

        c is the noise, or as much more as S, whose noise was chosen before the last steps, needs.
        """
        target = self._linear_target()
        factors = (self._factor(self._noise * 10.0**rise) for rise in range(MAX_ATTEMPTS))
        factor = next(factor for factor in factors if factor is not None)
        solved = torch.cholesky_solve(target.view(-1, 1), factor)
        diagonal = torch.cholesky_inverse(factor).diagonal()
        return solved.view_as(target), diagonal.view_as(target)

    def _objective(self, evaluation: Evaluation) -> float:
        moved = (evaluation.parameters - self._start) / self.stack.frequencies
        return evaluation.loss + self._noise * moved.square().sum().item()

    def _propose(self, factor: Tensor) -> tuple[Tensor, float]:
        """Return where a damped step leads, and what loss the linearised model expects there."""
        total = self._noise + self._damping
        shrink = self._noise / total
        moved = self._at.parameters - self._start
        pull = shrink * self._times_jacobian(moved)
        solved = torch.cholesky_solve((self._at.residual + pull).view(-1, 1), factor)
        step = self._times_transpose(solved) / len(solved) - shrink * moved
        return self._at.parameters + step, float((total * solved).square().mean())

    def _times_jacobian(self, direction: Tensor) -> Tensor:
        """Return the change (n, p) of the predictions along a change of the folded parameters."""
        change = torch.zeros_like(self._at.residual)
        for layer_input, sensitivity, (weight, bias) in zip(
            self._at.inputs, self._sensitivities, self.stack.layers(direction), strict=True
        ):
            sums = torch.addmm(bias[0], layer_input, weight[0])
            change += (sensitivity @ sums[..., None])[..., 0]
        return change

    def _times_transpose(self, coefficients: Tensor) -> Tensor:
        """Return what a combination (m, 1) of the residuals asks of the folded parameters."""
        result = torch.empty_like(self._at.parameters)
        coefficients = coefficients.view(*self._at.residual.shape, 1)
        for layer_input, sensitivity, (weight, bias) in zip(
            self._at.inputs, self._sensitivities, self.stack.layers(result), strict=True
        ):
            combined = (sensitivity * coefficients).sum(dim=1)
            weight[0] = layer_input.T @ combined
            bias[0] = combined.sum(dim=0)
        return result * self.stack.frequencies.square()


@torch.no_grad()
def fit_most_probable(
    stack: SirenStack, rows: TrainingRows, max_iter: int, monitor: Monitor
) -> tuple[LeastSquaresFit, int, str | None]:
    """Fit the one of several networks that makes a small table most probable.

    Parameters
    ----------
    stack : SirenStack of K networks
        As they start, in float64 on the CPU.
    rows : TrainingRows
        The same, with no target missing.
    max_iter : int
        Most steps.
    monitor : Monitor
        Shows the progress, and interrupts; with neither early stopping nor a checkpoint.

    Returns
    -------
    fit : LeastSquaresFit
    chosen : int
        Which network it is of.
    interruption : str or None
        What ended the fit before its time.
    """
    chosen = _most_probable(stack, rows)
    fit = LeastSquaresFit(stack.take(chosen), rows)
    return fit, chosen, descend(fit, max_iter, monitor)


def descend(fit: LeastSquaresFit, max_iter: int, monitor: Monitor) -> str | None:
    """Take steps until the fit has converged, and return what ended it before its time."""
    interruption = None
    for n_iter in range(max_iter):
        if n_iter % REVIEW_INTERVAL == 0:
            fit.review()
        fit.step()
        monitor.look(n_iter + 1, torch.tensor([fit.loss]))
        interruption = monitor.interrupted_by
        if fit.has_converged or interruption:
            break
    return None if len(fit.losses) == max_iter else interruption


def _most_probable(stack: SirenStack, rows: TrainingRows) -> int:
    """Return the index of the network of the largest evidence, after a few steps of each."""
    if len(stack) == 1:
        return 0
    rows = rows.thinned(MOST_RACE_ROWS)
    evidences = []
    for k in range(len(stack)):
        fit = LeastSquaresFit(stack.take(k), rows)
        fit.review()
        for _ in range(REVIEW_INTERVAL):
            fit.step()
        fit.review()
        evidences.append(fit.evidence)
    return int(np.argmax(evidences))
