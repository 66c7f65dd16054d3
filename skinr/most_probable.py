"""Which of several networks suits a small table best, and its fit."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import torch

from skinr.jet_rows import JetRows
from skinr.least_squares import REVIEW_INTERVAL, LeastSquaresFit
from skinr.network import SirenStack
from skinr.training import Monitor

FEW_ROWS = 500
"""Rows on which networks are compared."""

FEW_NUMBERS = 1000
"""Targets on which they are: of so many outputs, where there are more."""

FAR_BEHIND = 0.5
"""In nats for each number that is fitted: too much for a network of a race."""

PROBATION = 9
"""Steps after which a network of lower frequency must not be hopeless."""

HOPELESS = 2.0
"""In nats behind the best one: too much at the start, for a network to take steps in a race."""

FALLEN_BEHIND = 0.25
"""In nats behind what the best one was after half as many steps, for one of lower frequency that is
also hopeless: without noise merits rise by several, those of low frequencies late."""

MOST_FAILURES = 2
"""Networks in a row that are not better than the best one, after which no more are tried."""


MOST_MISSED = 0.05
"""Share of the power of other rows that a network may miss, with which one is content."""

PLAINLY_LESS = 0.01
"""Misfit of its own rows over that of others, of a network that does not see noise."""

MORE_FAILURES = 3
"""The same for networks that are compared by what they miss of other rows."""


@torch.no_grad()
def fit_most_probable(
    stack: SirenStack, stages: Sequence[JetRows], max_iter: int, monitor: Monitor
) -> tuple[LeastSquaresFit, int, str | None]:
    """Fit the one of several networks that has the most merit for a small table.

    Of a table of more than `FEW_ROWS` rows, or several outputs of more than `FEW_NUMBERS` targets,
    the larger part is spared until that network is chosen and fitted to the rest.

    Parameters
    ----------
    stack : SirenStack of K networks
        As they start, in float64 on the CPU, by ascending frequency.
    stages : sequence of JetRows
        What is fitted, one after another; the first of them chooses the network.
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
    few = stages[0].thinned(FEW_ROWS).with_few_outputs(FEW_NUMBERS)
    fit, chosen, interruption = _choose(stack, few, max_iter, monitor)
    if few is not stages[0] and not interruption:
        fit, chosen, interruption = _choose_by_others(
            stack, stages[0], fit, chosen, max_iter, monitor
        )
        fit = fit.with_more(stages[0])
        interruption = descend(fit, max_iter, monitor)
    for rows in stages[1:]:
        fit = LeastSquaresFit(fit.stack, rows, earlier_losses=fit.losses)
        interruption = descend(fit, max_iter, monitor)
    return fit, chosen, interruption


def descend(
    fit: LeastSquaresFit, max_iter: int, monitor: Monitor, n_steps: float = inf
) -> str | None:
    """Take so many steps at most until the fit has converged, and return what interrupted it."""
    last = min(max_iter, len(fit.losses) + n_steps)
    while len(fit.losses) < last and not fit.has_converged:
        fit.step()
        monitor.look(len(fit.losses), torch.tensor([fit.loss]))
        if monitor.interrupted_by and len(fit.losses) < max_iter:
            return monitor.interrupted_by
    return None


def advance_to_review(fit: LeastSquaresFit, max_iter: int, monitor: Monitor) -> str | None:
    """Take the steps up to the next review, and return what interrupted them."""
    interruption = descend(fit, max_iter, monitor, REVIEW_INTERVAL)
    fit.review()
    return interruption


def settle(
    fit: LeastSquaresFit, max_iter: int, monitor: Monitor, ahead: LeastSquaresFit
) -> str | None:
    """Take steps until the merit is plain, or hopeless beside that of the fit that is ahead."""
    interruption = None
    while not (interruption or _is_plain(fit, max_iter)):
        if fit.n_steps >= PROBATION and _is_hopeless(fit, ahead):
            break
        interruption = advance_to_review(fit, max_iter, monitor)
    return interruption


def _is_hopeless(fit: LeastSquaresFit, ahead: LeastSquaresFit) -> bool:
    """Return whether a fit is far behind another, and behind what that was at half its age."""
    then = ahead.merits[min(len(fit.merits) // 2, len(ahead.merits) - 1)]
    return fit.merit < min(ahead.merit - HOPELESS, then - FALLEN_BEHIND)


def _is_plain(fit: LeastSquaresFit, max_iter: int) -> bool:
    """Return whether the merit of a fit is what it will be."""
    return len(fit.losses) >= max_iter or fit.has_converged or fit.has_settled


def race(
    stack: SirenStack, rows: JetRows, max_iter: int, monitor: Monitor
) -> tuple[dict[int, LeastSquaresFit], int, str | None]:
    """Take a few steps with the networks that begin well, and say which has the most merit.

    By descending frequency, until those are far behind; the others are not in what is returned.
    """
    fits: dict[int, LeastSquaresFit] = {}
    failures, most = 0, -inf
    for k in reversed(range(len(stack))):
        fits[k] = LeastSquaresFit(stack.take(k), rows)
        fits[k].review()
        most = max(most, fits[k].merit)
        failures = failures + 1 if fits[k].merit < most - FAR_BEHIND else 0
        if failures == MOST_FAILURES:
            break
    runners = [k for k in fits if fits[k].merit >= most - HOPELESS]
    interruption = None
    for k in runners:
        if not interruption:
            interruption = advance_to_review(fits[k], max_iter, monitor)
    if interruption:
        runners = [k for k in runners if fits[k].n_steps]
    return fits, max(runners, key=lambda k: fits[k].rank), interruption


def _choose(
    stack: SirenStack, rows: JetRows, max_iter: int, monitor: Monitor
) -> tuple[LeastSquaresFit, int, str | None]:
    """Fit the network that is ahead when it is plain what it comes to, or a better one.

    Merits fall as a network leaves its initial weights, and others are ahead then. Those of lower
    frequency are tried as long as they are better: they show late what they can do.
    """
    fits, best, interruption = race(stack, rows, max_iter, monitor)
    while not (interruption or _is_plain(fits[best], max_iter)):
        interruption = advance_to_review(fits[best], max_iter, monitor)
        best = max(fits, key=lambda k: fits[k].rank)
    failures = 0
    for k in reversed(range(best)):
        if interruption or failures == MOST_FAILURES:
            break
        if k not in fits:
            fits[k] = LeastSquaresFit(stack.take(k), rows)
        interruption = settle(fits[k], max_iter, monitor, fits[best])
        failures += 1
        if fits[k].rank > fits[best].rank:
            best, failures = k, 0
    return fits[best], best, interruption or descend(fits[best], max_iter, monitor)


def _choose_by_others(
    stack: SirenStack,
    rows: JetRows,
    fit: LeastSquaresFit,
    chosen: int,
    max_iter: int,
    monitor: Monitor,
) -> tuple[LeastSquaresFit, int, str | None]:
    """Try lower frequencies by what they miss of other rows, where the chosen one misses much.

    The evidence is that of small changes of the initial weights. Where these can't explain the rows
    low frequencies look like noise, and yet may find the function on their way.
    """
    few, others = rows.parted(FEW_ROWS)
    few = few.with_few_outputs(FEW_NUMBERS)
    least = fit.missed(others)
    if least < MOST_MISSED or fit.misfit > PLAINLY_LESS * least:
        return fit, chosen, None
    first, failures = fit, 0
    for k in reversed(range(chosen)):
        if failures == MORE_FAILURES:
            break
        other = first.of_another(stack.take(k), few)
        interruption = descend(other, max_iter, monitor)
        if interruption:
            return fit, chosen, interruption
        missed = other.missed(others)
        print("   try", stack.omega_0[k], other.n_steps, missed, "best", least)
        failures += 1
        if missed < least:
            fit, chosen, least, failures = other, k, missed, 0
    return fit, chosen, None
