"""Whether a lower frequency finds what the most probable one misses of rows that it has not seen.

The evidence is that of functions near the initial one. Where none of those explains the rows, they
look like noise to a network of low frequency, and one of so high a frequency is chosen that any
rows are probable: between them it oscillates. Yet fitted without noise a low frequency may find the
function on its way, far from where it began, above all one whose hidden layers learn slowly: the
first layer moves its waves then. `examples/benchmarks/fast_surfaces.py` and `signals.py` have such
functions.
"""

from __future__ import annotations

from math import inf, log, sqrt
from typing import NamedTuple

from skinr.descent import Descent
from skinr.evidence import NOISES
from skinr.jet_rows import JetRows
from skinr.least_squares import Findings, LeastSquaresFit
from skinr.network import SirenStack

LEAST_ROWS = 80
"""Rows that a table must have: of fewer, those that are left aside don't tell frequencies apart."""

SHARE_OF_ROWS = 0.8
"""Share of the rows to which networks are fitted; they are compared by what they miss of the
rest."""

MISSES_LITTLE = 1e-3
"""A network that misses less than this share of the power of unseen rows is good enough."""

MISSES_SOME = 0.15
"""Where the first choice has seen all rows, another network replaces it only if it misses less than
this share of unseen ones: of steps every network misses as much."""

MISSES_MOST = 0.5
"""A network that misses more than this share has found nothing, and more rows may show what fewer
don't."""

SEES_NO_NOISE = 0.05
"""Misfit of a network's own rows over that of unseen ones, below which it is not noise that it
misses."""

EXPLAINS = 0.01
"""Share of the power of its own rows that a fit without noise leaves when it has found its way."""

MOST_FAILURES = 2
"""Networks in a row that are no better than the best one, after which no more are tried."""


class Choice(NamedTuple):
    """A network that has been fitted.

    Parameters
    ----------
    fit : LeastSquaresFit
    chosen : int
        Which network of its stack it is.
    """

    fit: LeastSquaresFit
    chosen: int


def n_ascending(stack: SirenStack) -> int:
    """Return how many networks there are up to the one of the highest frequency."""
    return 1 + stack.omega_0.index(max(stack.omega_0))


def neighbours(stack: SirenStack, omega_0: float) -> SirenStack:
    """Return the networks next in frequency to one, and what may be preferred to them."""
    n_usual = n_ascending(stack)
    usual = stack.omega_0[:n_usual]
    nearest = min(range(n_usual), key=lambda k: abs(log(usual[k] / omega_0)))
    near = range(n_usual)[max(0, nearest - 1) : nearest + 2]
    lower = range(n_usual, len(stack))
    kept = [*near, *(k for k in lower if stack.omega_0[k] < usual[near[-1]])]
    return stack.take(*kept)


def prefer_lower(
    stack: SirenStack,
    rows: JetRows,
    few: JetRows,
    choice: Choice,
    descent: Descent,
) -> Choice:
    """Return a network of lower frequency that misses less of unseen rows, or the one given.

    Where no row is unseen, some are left aside.

    Parameters
    ----------
    stack : SirenStack of K networks
        As they start, by ascending frequency, and then those that may be preferred, by descending
        frequency.
    rows : JetRows
    few : JetRows
        Those, all of them or the first of their permutation, that the given network is fitted to.
    choice : Choice
    descent : Descent

    Returns
    -------
    choice : Choice
        Where it is another, it is fitted to fewer than all rows.
    """
    trials = _Trials(stack, rows.with_outputs_of(few), descent)
    if trials.most_rows < LEAST_ROWS or not trials.lower_than(choice):
        return choice
    if len(few.coordinates) <= trials.most_rows:
        return trials.search(choice, len(few.coordinates))
    if not _is_lost(choice.fit, choice.fit.leave_one_out_misfit()):
        return choice
    seen, unseen = rows.parted(trials.most_rows)
    first = trials.fit(choice.chosen, choice, seen)
    best = trials.search(first, trials.most_rows)
    has_found = best.fit is not first.fit and _mean_missed(best.fit, unseen) < MISSES_SOME
    return best if has_found else choice


class _Trials(NamedTuple):
    """Fits of :func:`prefer_lower`, to those outputs that have been fitted so far."""

    stack: SirenStack
    rows: JetRows
    descent: Descent

    @property
    def most_rows(self) -> int:
        return int(SHARE_OF_ROWS * len(self.rows.coordinates))

    def lower_than(self, choice: Choice) -> list[int]:
        """Return which networks may be preferred to the one that is chosen."""
        omega_0 = self.stack.omega_0
        lower = range(n_ascending(self.stack), len(omega_0))
        return [k for k in lower if omega_0[k] < omega_0[choice.chosen]]

    def search(self, choice: Choice, n_seen: int) -> Choice:
        """Look for a better network by the unseen rows, and see more of them until one is found."""
        while not self.descent.ended_by and self.lower_than(choice):
            seen, unseen = self.rows.parted(n_seen)
            if not _is_lost(choice.fit, _mean_missed(choice.fit, unseen)):
                break
            choice = self._best_of_lower(choice, seen, unseen)
            has_found = _mean_missed(choice.fit, unseen) < MISSES_MOST
            if self.descent.ended_by or has_found or n_seen == self.most_rows:
                break
            n_seen = min(2 * n_seen, self.most_rows)
            choice = choice._replace(fit=choice.fit.with_more(self.rows.parted(n_seen)[0]))
            self.descent.run(choice.fit)
        return choice

    def _best_of_lower(self, choice: Choice, seen: JetRows, unseen: JetRows) -> Choice:
        """Return the network of lower frequency that misses least of unseen rows, or the one given.

        That is kept unless it misses more by over the standard error of the difference.
        """
        best, least, n_failures = choice, inf, 0
        for k in self.lower_than(choice):
            if self.descent.ended_by or n_failures == MOST_FAILURES:
                break
            other = self.fit(k, choice, seen)
            missed = _mean_missed(other.fit, unseen)
            n_failures += 1
            if missed < least:
                best, least, n_failures = other, missed, 0
        less = choice.fit.missed(unseen) - best.fit.missed(unseen)
        is_plain = less.mean() > less.std() / sqrt(len(less))
        return best if is_plain else choice

    def fit(self, k: int, choice: Choice, rows: JetRows) -> Choice:
        """Fit a network as if there were no noise until it explains the rows, and then with it."""
        without_noise = Findings(NOISES[0], close_enough=EXPLAINS * choice.fit.power)
        start = LeastSquaresFit(self.stack.take(k), rows, without_noise)
        has_arrived = self.descent.run(start)
        fit = choice.fit.of_another(start, rows)
        if has_arrived:
            self.descent.run(fit)
        return Choice(fit, k)


def _mean_missed(fit: LeastSquaresFit, rows: JetRows) -> float:
    return float(fit.missed(rows).mean())


def _is_lost(fit: LeastSquaresFit, missed: float) -> bool:
    """Return whether a network misses something that is not noise."""
    return missed > MISSES_LITTLE and fit.misfit < SEES_NO_NOISE * missed
