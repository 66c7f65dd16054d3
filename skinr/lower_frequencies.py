"""Whether a lower frequency finds what the most probable one misses of rows that it has not seen.

The evidence is that of functions near the initial one. Where none of those explains the rows, they
look like noise to a network of low frequency, and one of so high a frequency is chosen that any
rows are probable: between them it oscillates. Yet fitted without noise a low frequency may find the
function on its way, far from where it began: `examples/benchmarks/fast_surfaces.py`.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

from skinr.descent import descend
from skinr.jet_rows import JetRows
from skinr.least_squares import LeastSquaresFit
from skinr.network import SirenStack
from skinr.training import Monitor

LEAST_ROWS = 80
"""Of fewer, those that are left aside tell frequencies not apart."""

SHARE_OF_ROWS = 0.8
"""The most to which networks are fitted that are compared by what they miss of the others."""

MISSES_MUCH = 0.05
"""Share of the power of unseen rows, with less of which a network has found the function."""

MISSES_MOST = 0.5
"""With more it has found nothing, and more rows may show what these don't."""

SEES_NO_NOISE = 0.01
"""Misfit of its own rows over that of unseen ones, below which it is not noise that it misses."""

MOST_FAILURES = 3
"""Frequencies in a row that are not better, after which no lower ones are tried."""


class Choice(NamedTuple):
    """A network that has been fitted.

    Parameters
    ----------
    fit : LeastSquaresFit
    chosen : int
        Which network of its stack it is.
    interruption : str or None, default=None
        What ended the fits before their time.
    """

    fit: LeastSquaresFit
    chosen: int
    interruption: str | None = None


def prefer_lower(
    stack: SirenStack,
    rows: JetRows,
    few: JetRows,
    choice: Choice,
    max_iter: int,
    monitor: Monitor,
) -> Choice:
    """Return a network of lower frequency that misses less of unseen rows, or the one given.

    Parameters
    ----------
    stack : SirenStack of K networks
        As they start, by ascending frequency.
    rows : JetRows
    few : JetRows
        Those, all of them or the first of their permutation, that the given network is fitted to.
    choice : Choice
    max_iter : int
        Most steps.
    monitor : Monitor

    Returns
    -------
    choice : Choice
        Where it is another, it is fitted to fewer than all rows.
    """
    if choice.chosen == 0:
        return choice
    n_rows, n_few = len(rows.coordinates), len(few.coordinates)
    if n_few == n_rows:
        return _prefer_lower_of_few(stack, few, choice, max_iter, monitor)
    while not choice.interruption:
        seen, unseen = _parted(rows, n_few, few)
        if not _is_lost(choice.fit, _mean_missed(choice.fit, unseen)):
            break
        choice = _descend_frequencies(stack, seen, unseen, choice, max_iter, monitor)
        n_few *= 2
        found = _mean_missed(choice.fit, unseen) < MISSES_MOST
        if choice.interruption or found or n_few > SHARE_OF_ROWS * n_rows:
            break
        fit = choice.fit.with_more(_parted(rows, n_few, few)[0])
        choice = Choice(fit, choice.chosen, descend(fit, max_iter, monitor))
    return choice


def _prefer_lower_of_few(
    stack: SirenStack, rows: JetRows, choice: Choice, max_iter: int, monitor: Monitor
) -> Choice:
    """Do so where no row is unseen: some are left aside, so few that these have to be found."""
    n_rows = len(rows.coordinates)
    if n_rows < LEAST_ROWS or not _is_lost(choice.fit, choice.fit.misfit_of_unseen):
        return choice
    seen, unseen = _parted(rows, int(SHARE_OF_ROWS * n_rows), rows)
    fit = choice.fit.of_another(stack.take(choice.chosen), seen)
    best = Choice(fit, choice.chosen, descend(fit, max_iter, monitor))
    if _is_lost(fit, _mean_missed(fit, unseen)):
        best = _descend_frequencies(stack, seen, unseen, best, max_iter, monitor)
    has_found = best.chosen < choice.chosen and _mean_missed(best.fit, unseen) < MISSES_MUCH
    return best if has_found else Choice(*choice[:2], best.interruption)


def _mean_missed(fit: LeastSquaresFit, rows: JetRows) -> float:
    return float(fit.missed(rows).mean())


def _is_lost(fit: LeastSquaresFit, missed: float) -> bool:
    """Return whether a network misses much that is not noise."""
    return missed > MISSES_MUCH and fit.misfit < SEES_NO_NOISE * missed


def _descend_frequencies(
    stack: SirenStack,
    seen: JetRows,
    unseen: JetRows,
    choice: Choice,
    max_iter: int,
    monitor: Monitor,
) -> Choice:
    """Return the network of lower frequency that misses least of unseen rows, or the one given.

    That is kept unless it misses more by over the standard error of the difference.
    """
    best, least = choice, choice.fit.missed(unseen)
    before, n_failures = least, 0
    for k in reversed(range(choice.chosen)):
        if best.interruption or n_failures == MOST_FAILURES:
            break
        fit = choice.fit.of_another(stack.take(k), seen)
        interruption = descend(fit, max_iter, monitor)
        missed = fit.missed(unseen)
        n_failures += 1
        if missed.mean() < least.mean():
            best, least, n_failures = Choice(fit, k), missed, 0
        best = best._replace(interruption=interruption)
    less = before - least
    is_plain = less.mean() > less.std() / sqrt(len(less))
    return best if is_plain else choice._replace(interruption=best.interruption)


def _parted(rows: JetRows, n_rows: int, like: JetRows) -> tuple[JetRows, JetRows]:
    """Return so many rows, and the others, with the outputs that are known in `like`."""
    known = like.root_weight.any(dim=1, keepdim=True)
    return rows._replace(root_weight=rows.root_weight * known).parted(n_rows)
