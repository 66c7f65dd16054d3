"""Small tables by least squares: Levenberg–Marquardt in the space of the rows.

A step solves for as many unknowns as there are numbers to fit, not for the weights, of which there
are a hundred times more. How much of the residuals is noise is read from the evidence, and which
network suits the rows from that and from how well they predict each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, log, sqrt
from typing import NamedTuple

import numpy as np
from torch import Tensor

from skinr.evidence import N_BELOW_FUNCTION, NOISES, TINY, Explanation
from skinr.history import History
from skinr.jacobian import Observations, evaluate_network
from skinr.jet_rows import JetRows
from skinr.levenberg_marquardt import LevenbergMarquardt
from skinr.network import SirenStack

REVIEW_INTERVAL = 3
"""Steps between two choices of the noise."""

PATIENCE = 3
"""Reviews in which the objective must fall by `LEAST_GAIN`, or the fit has converged."""

LEAST_GAIN = 0.25
"""Fall of the objective, in nats, that steps must bring for up to `MANY_NUMBERS` targets; for more
targets it grows in proportion. Where the linearised model expects several nats, as many times less
is enough: a slow descent of a hundred steps leads to oscillations of few rows a period."""

STEADINESS = 4
"""Reviews in which the merit must change by `LEAST_CHANGE`, or it is settled: it falls as the
linearisation moves, and may rise after that."""

LEAST_CHANGE = 0.1
"""Change of the merit, in nats for each target, that may still change ranks."""

POWER_OF_NOISE = 1.5
"""The noise c that m of n targets have shown is multiplied by m/n to this power for all of them.
Pure noise would have a power of 1; it is larger since less of a function is taken for noise where
there are more rows. On noisy terrains and smooth functions a power of 1 leaves 6% less than 1.5 of
4,000 rows, and 5% to 20% more from 50,000 on."""

TOO_FEW_FOR_NOISE = 5
"""Targets of each output up to which they are taken for exact. Of curves with no noise or 10% that
misses 0.4 to 1.5 times as much as without, 0.6 in the median, and with 50% 0.7 to 1.1 times; of six
rows with 10% it would be 1.3 times as much, of seven 6 times."""

LIKELIEST = 0.2
"""The frequency that is most probable before the rows are seen; others are the less so, by the
factor that they differ. From lower ones networks come to little but straight lines."""

MANY_NUMBERS = 500
"""Targets from which on `LEAST_GAIN` is not enough."""

MOST_LEFT = 0.1
"""Share of the mean squared target that the residuals have where a fit explains most of it."""

PLAIN_FUNCTION = 5.0
"""In nats: by how much more probable than noise the targets are where they show a function. For
noise alone it is up to 3, of 12 networks, on 72 tables of 50 to 480 rows."""

CLOSE_ENOUGH = 0.01
"""Root mean square of the residuals, over that of the targets and then over that of unseen rows,
below which a fit is done."""

PLAIN_ERROR = 0.05
"""Root mean square of what is missed of unseen rows, over that of the targets, below which networks
differ in it by more than noise does."""

INVISIBLE = 1e-11
"""Share of the mean squared target that the float32 of predictions does not show."""


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


class Promise(NamedTuple):
    """What a network at its initial weights says of a table.

    Later it is a poor witness: weights that have moved make the noise that they have learned
    probable, and fast oscillations less so.

    Parameters
    ----------
    shows_function : bool
        Whether the targets are plainly more probable than as noise.
    n_noises : int
        Of `NOISES`, which come into question from then on.
    error : float
        Mean square of what is missed of a target that all others predict; inf without a function.
    """

    shows_function: bool = False
    n_noises: int = len(NOISES)
    error: float = inf


class LeastSquaresFit:
    r"""One network on its way to the rows of a small table, by :class:`LevenbergMarquardt`.

    Weights have the prior :math:`N(w_0, \sigma_w^2)` around their initial values :math:`w_0`, and
    targets the noise :math:`N(0, \sigma^2 / \text{weight})`, so that the noise of the steps is
    :math:`c = \sigma^2 / (m \sigma_w^2)` for m targets. Reviews choose it between steps: it is the
    one under which the linearised model makes the targets most probable ([1]_, section 3; [2]_ for
    both together).

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
    most_noise : float, default=inf
        A variance that the noise of weighted targets can't exceed.

    Attributes
    ----------
    losses : list of float
        The weighted mean squared residual before each step.
    power : float
        The weighted mean squared target.
    evidence : float
        Logarithm of the probability of the targets as of the last :meth:`review`, in nats for each
        and but for a constant.
    merit : float
        How well the network suits the targets, in nats for each: `evidence` less half the logarithm
        of the leave-one-out error ([3]_), which no longer counts where it is large. The evidence
        is how well rows predict each other on average over all numbers of rows, the leave-one-out
        error how well all but one do: where rows are exact and some far apart, the evidence alone
        prefers networks of high frequency, which fill gaps badly. Both assume that the fit reaches
        the minimum of the linearised model; if it has converged above that, the objective that it
        did reach is used. A handful of rows, or noise above the function, hardly tells frequencies
        apart, so the further one is from `LIKELIEST`, the less probable it is beforehand.
    merits : list of float
        That of each review.

    References
    ----------
    .. [1] MacKay. Bayesian Interpolation. Neural Computation 4(3), 1992.
    .. [2] Foresee, Hagan. Gauss-Newton Approximation to Bayesian Learning. ICNN 1997.
    .. [3] Fong, Holmes. On the marginal likelihood and cross-validation. Biometrika 107(2), 2020.
    """

    def __init__(
        self,
        stack: SirenStack,
        rows: JetRows,
        found: Findings | None = None,
        anchor: Tensor | None = None,
        earlier_losses: Sequence[float] = (),
        most_noise: float = inf,
    ) -> None:
        self.stack = stack
        self.evidence = self.merit = -inf
        self.losses = list(earlier_losses)
        self._n_earlier = len(self.losses)
        self._observations = Observations(rows)
        self.power = self._observations.power
        self._found = found
        self._close_enough = 0.0 if found is None else found.close_enough
        self._steps = LevenbergMarquardt(stack, self._observations, anchor)
        if found is not None:
            self._steps.noise = found.noise * self._steps.model.scale
        self._reviews: list[float] = []
        self._expected_gain = 0.0
        self._promise = Promise()
        self.merits: list[float] = []
        self._reviewed_at: int | None = None
        self._noise_index: int | None = None
        self._most_noise = most_noise
        self._is_stuck = False

    @property
    def loss(self) -> float:
        """The weighted mean squared residual."""
        return self._steps.at.loss

    @property
    def has_converged(self) -> bool:
        """Whether more steps would hardly change what is predicted."""
        if self._is_stuck or self.loss <= max(INVISIBLE * self.power, self._close_enough):
            return True
        recent = self._reviews[-PATIENCE - 1 :]
        least = LEAST_GAIN * max(1.0, len(self._observations) / MANY_NUMBERS)
        least /= max(1.0, self._expected_gain)
        return len(recent) > PATIENCE and recent[0] - min(recent[1:]) < least

    @property
    def _has_arrived(self) -> bool:
        """Whether most is explained that the linearised model expects to be."""
        return self._expected_gain < 1 or self.loss < MOST_LEFT * self.power

    @property
    def has_settled(self) -> bool:
        """Whether more steps would hardly change how it compares with other networks."""
        recent = self.merits[-STEADINESS - 1 :]
        is_steady = len(recent) > STEADINESS and max(recent) - min(recent) < LEAST_CHANGE
        return is_steady and self._has_arrived

    @property
    def rank(self) -> tuple[bool, float]:
        """What networks are compared by: where one has shown a function, none that sees noise wins.

        Fast oscillations are so improbable for a network that in the end noise is less so.
        """
        has_lost_it = self.loss > (self.power + self._promise.error) / 2
        sees_noise = self._has_arrived and has_lost_it
        return self._promise.shows_function and not sees_noise, self.merit

    @property
    def promised_error(self) -> float:
        """The mean square of what it was to miss of unseen targets at its initial weights."""
        return self._promise.error

    @property
    def anchor(self) -> Tensor:
        """The initial weights, near which the prior holds those of the fit."""
        return self._steps.anchor

    @property
    def n_numbers(self) -> int:
        """Number of known targets."""
        return len(self._observations)

    @property
    def n_steps(self) -> int:
        """Steps that were taken here."""
        return len(self.losses) - self._n_earlier

    @property
    def misfit(self) -> float:
        """The mean of what is missed of its own rows."""
        return self.loss / max(self.power, TINY)

    def step(self) -> None:
        """Move the weights once, by a step that lowers the objective, where one can be found."""
        if not self._reviews:
            self.review()
        self.losses.append(self.loss)
        self._is_stuck = not self._steps.move()
        if self.n_steps % REVIEW_INTERVAL == 0 or self.loss <= self._close_enough:
            self.review()

    def review(self) -> None:
        """Take the noise that has been found, or that of the largest evidence, as of now."""
        if self._reviewed_at == len(self.losses):
            return
        self._reviewed_at = len(self.losses)
        is_first = self._noise_index is None
        self._steps.noise = self._choose_noise() * self._steps.model.scale
        explanation = self._explain()
        objective = log(max(self._steps.objective, TINY))
        self._expected_gain = objective - log(max(explanation.least_objective, TINY))
        self._reviews.append(objective)
        if self._found is None:
            leave_one_out_error = explanation.leave_one_out_error()
            if is_first:
                self._promise = self._promised(leave_one_out_error)
            self._judge(leave_one_out_error)

    def history(self, interruption: str | None) -> History:
        """Return the course of the fit, and what ended it."""
        losses = self.losses or [self.loss]
        return History(np.array(losses)[:, None], None, np.zeros(1), interruption)

    def noise_of(self, n_numbers: int) -> float:
        """Return the c that as many numbers of the same table are expected to have."""
        return self._steps.noise * float((len(self._observations) / n_numbers) ** POWER_OF_NOISE)

    def findings(self) -> Findings:
        """Return what this fit has found out, as of the last :meth:`review`."""
        close_enough = (CLOSE_ENOUGH * self._explain().leave_one_out_error()) ** 2
        return Findings(self._steps.noise / self._steps.model.scale, close_enough)

    def prior_variance(self) -> float:
        """Return the mean prior variance of the values, as of the last :meth:`review`."""
        return self._explain().variance * self._steps.model.scale

    def noise_of_outputs(self) -> Tensor:
        """Return the standard deviation (p,) of the noise of each output, at weight 1."""
        n_known = len(self._observations.outputs)
        noise = self._explain().noise_of_outputs(self._observations.known % n_known, n_known)
        n_outputs = self.stack.architecture.n_outputs
        return noise.new_zeros(n_outputs).index_copy_(0, self._observations.outputs, noise)

    def expect_noise(self) -> None:
        """Take the largest noise that is hardly less probable than the one that was found."""
        self._noise_index = self._steps.model.largest_noise(
            self._noise_index or 0, self._promise.n_noises, self._most_noise
        )
        self._steps.noise = NOISES[self._noise_index] * self._steps.model.scale

    def with_more(self, rows: JetRows) -> LeastSquaresFit:
        """Return a fit that goes on from here, with more rows of the same table."""
        fit = self._going_on(self, rows)
        fit._noise_index = self._noise_index
        fit.review()
        return fit

    def of_another(self, start: LeastSquaresFit, rows: JetRows) -> LeastSquaresFit:
        """Return a fit that goes on from one without noise, with no more of it than this has."""
        fit = self._going_on(start, rows)
        fit._noise_index = 0
        fit._promise = self._promise._replace(n_noises=1 + (self._noise_index or 0))
        return fit

    def _going_on(self, start: LeastSquaresFit, rows: JetRows) -> LeastSquaresFit:
        """Return a fit from where another is, with what this one has promised."""
        fit = LeastSquaresFit(
            start.stack,
            rows,
            anchor=start.anchor,
            earlier_losses=start.losses,
            most_noise=self._most_noise,
        )
        fit._promise = self._promise
        return fit

    def missed(self, rows: JetRows) -> Tensor:
        """Return the squared residuals (m,) of rows, over the mean square of their targets."""
        observed = Observations(rows)
        residual = evaluate_network(self.stack, observed, self.stack.parameters).residual
        return residual.square() / max(observed.power, TINY)

    def leave_one_out_misfit(self) -> float:
        """Return what `misfit` is expected to be of a target that all others predict."""
        return self._explain().leave_one_out_error() ** 2 / max(self.power, TINY)

    @property
    def _n_noises(self) -> int:
        """How many of `NOISES` come into question."""
        are_few = self.n_numbers <= TOO_FEW_FOR_NOISE * len(self._observations.outputs)
        return 1 if are_few else self._promise.n_noises

    def _choose_noise(self) -> float:
        """Return the noise over the scale, and set the evidence that goes with it."""
        if self._found is not None:
            return self._found.noise
        self._noise_index, self.evidence = self._steps.model.most_probable_noise(
            self._noise_index, self._n_noises, self._most_noise
        )
        return NOISES[self._noise_index]

    def _explain(self) -> Explanation:
        return self._steps.model.explain(self._steps.noise)

    def _judge(self, leave_one_out_error: float) -> None:
        """Set the merit, and what is close enough."""
        if self.loss < CLOSE_ENOUGH**2 * self.power:
            self._close_enough = (CLOSE_ENOUGH * leave_one_out_error) ** 2
        plain = min(leave_one_out_error, PLAIN_ERROR * sqrt(self.power))
        self.merit = self.evidence - log(max(plain, TINY)) / 2
        self.merit -= abs(log(self.stack.omega_0[0] / LIKELIEST)) / len(self._observations)
        if self.has_converged and not self._has_arrived:
            self.merit -= self._expected_gain / 2
        self.merits.append(self.merit)

    def _promised(self, leave_one_out_error: float) -> Promise:
        """Return what this network says of the table, as of now."""
        over_noise = self.evidence + log(max(self.power, TINY)) / 2
        if over_noise * len(self._observations) < PLAIN_FUNCTION:
            return Promise()
        n_noises = max(N_BELOW_FUNCTION, 1 + (self._noise_index or 0))
        return Promise(True, n_noises, leave_one_out_error**2)
