"""Small tables by least squares: Levenberg–Marquardt in the space of the rows.

A step solves for as many unknowns as there are numbers to fit, not for the weights, of which there
are a hundred times more. How much of the residuals is noise is read from the evidence, and which
network suits the rows from that and from how well they predict each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product
from math import ceil, inf, log, sqrt
from typing import NamedTuple

import numpy as np
import torch
from sklearn.utils import gen_even_slices
from torch import Tensor, nn

from skinr.jet_algebra import JetAlgebra
from skinr.jet_rows import JetRows
from skinr.network import SirenStack
from skinr.training import History

FIRST_DAMPING = 1e-2
"""As a share of the mean variance that the weights explain."""

NOISES = [10.0**exponent for exponent in range(-14, 3)]
"""What the noise is chosen from, as such a share; less is no different in float64."""

LEAST_FACTOR = 1 / 9
"""Of the damping, after a step that helped as much as expected."""

MAX_ATTEMPTS = 10
"""Rises of the damping in search of a step that helps."""

REVIEW_INTERVAL = 5
"""Steps between two choices of the noise."""

PATIENCE = 2
"""Reviews in which the objective must fall by `LEAST_GAIN`."""

LEAST_GAIN = 0.25
"""In nats, for up to `FEW_NUMBERS` to fit: steps of more must gain in proportion."""

LEAST_CHANGE = 0.1
"""Of the merit in as many reviews, in nats for each number, while it may still change ranks: it
falls as the linearisation moves, and may rise after that."""

FEW_NUMBERS = 500

CLOSE_ENOUGH = 0.03
"""Root mean square of the residuals, over that of unseen rows, below which a fit is done."""

PLAIN_ERROR = 0.05
"""Root mean square of what is missed of unseen rows, over that of the targets, below which networks
differ in it by more than noise does."""

INVISIBLE = 1e-11
"""Share of the mean squared target that the float32 of predictions does not show."""

BLOCK = 384
"""Rows of the matrix of all rows that are filled at a time: what the caches hold."""

TINY = 1e-300
"""Keeps logarithms of nothing finite."""


class Evaluation(NamedTuple):
    """A network at some weights.

    Parameters
    ----------
    parameters : Tensor of shape (1, n_parameters)
    inputs : list of Tensor (C, n, fan_in)
        Jets of what each layer takes in.
    cosines : list of Tensor (C, n, fan_out)
        Of what each sine layer sums up.
    residual : Tensor of shape (m,)
        Known targets less predictions, times the roots of their weights.
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

    Residuals may be of derivatives by the coordinates. With h what a layer takes in and s the
    derivative of an output by what it sums up, the Jacobian of the output by the layer's weights is
    :math:`h s^T`, so that a layer adds :math:`(h \cdot h' + 1)(s \cdot s')` to S. Derivatives of
    the output have those of this product: sums of a few pairs of components of the jets of h and s.

    Parameters
    ----------
    stack : SirenStack
        Of one network, in float64 on the CPU; updated in place.
    rows : JetRows
        The same.
    found : Findings, optional
        Spares the search for the noise.
    anchor : Tensor of shape (1, n_parameters), optional
        The initial weights, where the stack has others.
    earlier_losses : sequence of float, default=()
        Of a fit that this one goes on from.

    Attributes
    ----------
    losses : list of float
        The weighted mean squared residual before each step.
    evidence : float
        Logarithm of the probability of the targets as of the last :meth:`review`, in nats for each
        and but for a constant.
    merit : float
        What networks are compared by, likewise: `evidence`, less half the logarithm of
        :meth:`error_of_unseen` as far as that is plain. The evidence is how well the rows predict
        each other on average over all numbers of rows, the error how well all but one do ([6]_):
        where rows are exact, few of them far apart, the evidence alone prefers networks of high
        frequency that fill gaps badly.

    References
    ----------
    .. [1] Marquardt. An Algorithm for Least-Squares Estimation of Nonlinear Parameters. Journal of
       SIAM 11(2), 1963.
    .. [2] Madsen, Nielsen, Tingleff. Methods for Non-Linear Least Squares Problems. DTU, 2004.
    .. [3] MacKay. Bayesian Interpolation. Neural Computation 4(3), 1992.
    .. [4] Foresee, Hagan. Gauss-Newton Approximation to Bayesian Learning. ICNN 1997.
    .. [5] Rasmussen, Williams. Gaussian Processes for Machine Learning. MIT Press 2006.
    .. [6] Fong, Holmes. On the marginal likelihood and cross-validation. Biometrika 107(2), 2020.
    """

    def __init__(
        self,
        stack: SirenStack,
        rows: JetRows,
        found: Findings | None = None,
        anchor: Tensor | None = None,
        earlier_losses: Sequence[float] = (),
    ) -> None:
        self.stack = stack
        self.evidence = self.merit = -inf
        self.losses = list(earlier_losses)
        self._n_earlier = len(self.losses)
        self._algebra = JetAlgebra(len(rows.targets) - 1 - len(rows.operators), rows.operators)
        self._coordinates = self._algebra.coordinates(rows.coordinates)
        self._observed = rows.root_weight.any(dim=2).any(dim=1).nonzero()[:, 0]
        # (which of the observed components, of the input, of the sensitivity, factor)
        self._terms = [
            (q, *term)
            for q, component in enumerate(self._observed)
            for term in self._algebra.products[component]
        ]
        root_weight = rows.root_weight[self._observed]
        self._shape = root_weight.shape
        self._known = root_weight.flatten().nonzero()[:, 0]
        self._root_weight = root_weight.take(self._known)
        self._targets = rows.targets[self._observed].take(self._known)
        self._power = float((self._targets * self._root_weight).square().mean())
        self._found = found
        self._close_enough = 0.0 if found is None else found.close_enough
        self._start = stack.parameters.clone() if anchor is None else anchor
        self._accept(self._evaluate(stack.parameters.clone()))
        self._damping = FIRST_DAMPING * self._scale()
        self._reviews: list[float] = []
        self._merits: list[float] = []
        self._reviewed_at: int | None = None
        self._noise_index: int | None = None
        self._is_stuck = False

    @property
    def loss(self) -> float:
        """The weighted mean squared residual."""
        return self._at.loss

    @property
    def has_converged(self) -> bool:
        """Whether more steps would hardly change what is predicted."""
        if self._is_stuck or self.loss <= max(INVISIBLE * self._power, self._close_enough):
            return True
        recent = self._reviews[-PATIENCE - 1 :]
        least = LEAST_GAIN * max(1.0, len(self._known) / FEW_NUMBERS)
        return len(recent) > PATIENCE and recent[0] - min(recent[1:]) < least

    @property
    def has_settled(self) -> bool:
        """Whether more steps would hardly change how it compares with other networks."""
        recent = self._merits[-PATIENCE - 1 :]
        return len(recent) > PATIENCE and max(recent) - min(recent) < LEAST_CHANGE

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
        n_outputs = self._shape[2]
        output = self._known % n_outputs
        sums = solved.new_zeros(2, n_outputs)
        sums.index_add_(1, output, torch.stack([solved.square(), diagonal]))
        return (self._noise * sums[0] / sums[1]).sqrt()

    def error_of_unseen(self) -> float:
        r"""Return the root mean square of what is missed of a row that all others predict.

        :math:`[K^{-1} t]_i / [K^{-1}]_{ii}` for row i, in the linearised model ([5]_, section
        5.4.2).
        """
        solved, diagonal = self._leave_one_out()
        return float((solved / diagonal).square().mean().sqrt())

    def with_more(self, rows: JetRows) -> LeastSquaresFit:
        """Return a fit that goes on from here, with more rows of the same table."""
        fit = LeastSquaresFit(self.stack, rows, anchor=self._start, earlier_losses=self.losses)
        fit._noise_index = self._noise_index
        return fit

    def review(self) -> None:
        """Take the noise that has been found, or that of the largest evidence, as of now."""
        if self._reviewed_at == len(self.losses):
            return
        self._reviewed_at = len(self.losses)
        if self._found is not None:
            self._noise = self._found.noise * self._scale()
        else:
            self._choose_noise()
            error = self.error_of_unseen()
            if self.loss < CLOSE_ENOUGH**2 * self._power:
                self._close_enough = (CLOSE_ENOUGH * error) ** 2
            plain = min(error, PLAIN_ERROR * sqrt(self._power))
            self.merit = self.evidence - log(max(plain, TINY)) / 2
            self._merits.append(self.merit)
        self._reviews.append(log(max(self._objective(self._at), TINY)))

    @property
    def n_steps(self) -> int:
        """Steps that were taken here."""
        return len(self.losses) - self._n_earlier

    def step(self) -> None:
        """Move the weights once, by a step that lowers the objective, where one can be found."""
        if self.n_steps % REVIEW_INTERVAL == 0:
            self.review()
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
        jets = self._coordinates
        layers = self.stack.layers(parameters)
        linear_output = self.stack.architecture.output_activation == "identity"
        for index, (weight, bias) in enumerate(layers):
            inputs.append(jets)
            jets = _affine(jets, weight, bias)
            if index < len(layers) - 1 or not linear_output:
                jets, cosine = self._algebra.sine_and_cosine(jets)
                cosines.append(cosine)
        predictions = jets[self._observed].take(self._known)
        residual = (self._targets - predictions) * self._root_weight
        return Evaluation(parameters, inputs, cosines, residual, float(residual.square().mean()))

    def _accept(self, evaluation: Evaluation) -> None:
        """Go there, and set what the linearised model is there.

        That is the jets (C, n, p, fan_out) of derivatives by layers' sums, S, and what the way from
        the initial weights changes in the predictions (m,).
        """
        self._at = evaluation
        self.stack.parameters.copy_(evaluation.parameters)
        layers = self.stack.layers(evaluation.parameters)
        n_outputs = self._shape[2]
        sensitivity = self._coordinates.new_zeros(*self._coordinates.shape[:2], *2 * [n_outputs])
        sensitivity[0] = torch.eye(n_outputs)
        if len(evaluation.cosines) == len(layers):
            sensitivity = self._algebra.multiply(sensitivity, evaluation.cosines[-1][:, :, None])
        self._sensitivities = [sensitivity]
        for index in range(len(layers) - 1, 0, -1):
            (weight, _), cosine = layers[index], evaluation.cosines[index - 1]
            sensitivity = self._algebra.multiply(sensitivity @ weight[0].T, cosine[:, :, None])
            self._sensitivities.insert(0, sensitivity)
        self._gram = self._gram_matrix()
        self._explained = self._times_jacobian(evaluation.parameters - self._start)

    def _gram_matrix(self) -> Tensor:
        """Return S (m, m), a sum over layers: products of inputs times those of sensitivities.

        Without derivatives only blocks of its lower triangle are filled, which is what is needed.
        """
        gram = self._targets.new_zeros(*self._shape, *self._shape)
        squares = self.stack.layers(self.stack.frequencies.square())
        scales = [float(square[0, 0, 0]) for square, _ in squares]
        n_components, n_rows, _ = self._shape
        for rows in gen_even_slices(n_rows, ceil(n_rows / BLOCK)):
            others = slice(rows.stop if n_components == 1 else n_rows)
            for layer_input, sensitivity, scale in zip(
                self._at.inputs, self._sensitivities, scales, strict=True
            ):
                ahead = _inner_products(layer_input[:, rows], layer_input[:, others])
                behind = _inner_products(sensitivity[:, rows], sensitivity[:, others])
                ahead[0, :, 0] += 1
                for (q, a, b, factor), (r, c, d, other) in product(self._terms, repeat=2):
                    gram[q, rows, :, r, others].addcmul_(
                        ahead[a, :, None, c, :, None],
                        behind[b, :, :, d],
                        value=scale * factor * other,
                    )
        gram = gram.flatten(0, 2).flatten(1)
        if len(self._known) < len(gram):
            gram = gram[self._known[:, None], self._known]
        return gram.mul_(self._root_weight[:, None]).mul_(self._root_weight).div_(len(gram))

    def _scale(self) -> float:
        return float(self._gram.diagonal().mean()) or 1.0

    def _factor(self, shift: float) -> Tensor | None:
        """Return the Cholesky factor of S + shift, where float64 has one."""
        shifted = self._gram.clone()
        shifted.diagonal().add_(shift)
        factor, failed = torch.linalg.cholesky_ex(shifted)
        return None if failed else factor

    def _choose_noise(self) -> None:
        """Take the noise of the largest evidence: of all at first, later of those uphill."""
        target, scale = self._linear_target(), self._scale()
        evidence = cache(lambda index: self._evidence_of(scale * NOISES[index], target))
        if self._noise_index is None:
            self._noise_index = max(range(len(NOISES)), key=evidence)
        while True:
            here = self._noise_index
            near = range(max(0, here - 1), min(here + 2, len(NOISES)))
            self._noise_index = max(near, key=evidence)
            if evidence(self._noise_index) <= evidence(here):
                break
        self.evidence, self._noise = evidence(here), scale * NOISES[here]

    def _evidence_of(self, noise: float, target: Tensor) -> float:
        factor = self._factor(noise)
        if factor is None:
            return -inf
        whitened = torch.linalg.solve_triangular(factor, target[:, None], upper=False)
        misfit = float(whitened.square().mean())
        return -float(factor.diagonal().log().mean()) - log(max(misfit, TINY)) / 2

    def _linear_target(self) -> Tensor:
        """Return what the linearised model has to explain (m,) from the initial weights on."""
        return self._at.residual + self._explained

    def _leave_one_out(self) -> tuple[Tensor, Tensor]:
        """Return the targets solved by S + c, and the diagonal of its inverse, both (m,).

        c is the noise, or as much more as S, whose noise was chosen before the last steps, needs.
        """
        target = self._linear_target()
        factors = (self._factor(self._noise * 10.0**rise) for rise in range(MAX_ATTEMPTS))
        factor = next(factor for factor in factors if factor is not None)
        solved = torch.cholesky_solve(target[:, None], factor)[:, 0]
        return solved, torch.cholesky_inverse(factor).diagonal()

    def _objective(self, evaluation: Evaluation) -> float:
        moved = (evaluation.parameters - self._start) / self.stack.frequencies
        return evaluation.loss + self._noise * moved.square().sum().item()

    def _propose(self, factor: Tensor) -> tuple[Tensor, float]:
        """Return where a damped step leads, and what loss the linearised model expects there."""
        total = self._noise + self._damping
        shrink = self._noise / total
        moved = self._at.parameters - self._start
        target = self._at.residual + shrink * self._explained
        solved = torch.cholesky_solve(target[:, None], factor)[:, 0]
        step = self._times_transpose(solved) / len(solved) - shrink * moved
        return self._at.parameters + step, float((total * solved).square().mean())

    def _times_jacobian(self, direction: Tensor) -> Tensor:
        """Return the change (m,) of the predictions along a change of the folded parameters."""
        change = self._targets.new_zeros(self._shape)
        for layer_input, sensitivity, (weight, bias) in zip(
            self._at.inputs, self._sensitivities, self.stack.layers(direction), strict=True
        ):
            sums = _affine(layer_input, weight, bias)
            for q, a, b, factor in self._terms:
                change[q].add_((sensitivity[b] @ sums[a, ..., None])[..., 0], alpha=factor)
        return change.take(self._known) * self._root_weight

    def _times_transpose(self, coefficients: Tensor) -> Tensor:
        """Return what a combination (m,) of the residuals asks of the folded parameters."""
        result = torch.empty_like(self._at.parameters)
        spread = self._targets.new_zeros(self._shape)
        spread.put_(self._known, coefficients * self._root_weight)
        for layer_input, sensitivity, (weight, bias) in zip(
            self._at.inputs, self._sensitivities, self.stack.layers(result), strict=True
        ):
            combined = torch.zeros_like(sensitivity[:, :, 0])
            for q, a, b, factor in self._terms:
                combined[a].add_((sensitivity[b] * spread[q, ..., None]).sum(dim=1), alpha=factor)
            weight[0] = layer_input.flatten(0, 1).T @ combined.flatten(0, 1)
            bias[0] = combined[0].sum(dim=0)
        return result * self.stack.frequencies.square()


def _affine(jets: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return jets (C, n, fan_out) of a layer's sums from jets (C, n, fan_in)."""
    shift = nn.functional.pad(bias, (0, 0, 0, 0, 0, len(jets) - 1))
    return torch.baddbmm(shift, jets, weight.expand(len(jets), -1, -1))


def _inner_products(jets: Tensor, others: Tensor) -> Tensor:
    """Return the products (..., ...) of all pairs of vectors (..., width) of two sets of jets."""
    products = jets.flatten(0, -2) @ others.flatten(0, -2).T
    return products.view(*jets.shape[:-1], *others.shape[:-1])
