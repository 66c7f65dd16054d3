"""Which of several networks suits a small table best, and its fit."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import torch

from skinr.descent import Descent
from skinr.jet_rows import JetRows
from skinr.least_squares import REVIEW_INTERVAL, LeastSquaresFit
from skinr.lower_frequencies import (
    MISSES_LITTLE,
    MOST_FAILURES,
    Choice,
    n_ascending,
    prefer_lower,
)
from skinr.neighbour_noise import noise_bound
from skinr.network import SirenStack

FEW_ROWS = 500
"""Rows on which networks are compared."""

FEW_NUMBERS = 1000
"""Targets on which networks are compared, of as many outputs as have no more."""

FAR_BEHIND = 0.5
"""A network whose merit is this much below the best, in nats for each target, takes no part in a
race."""

PROBATION = 9
"""Steps after which a network of lower frequency is given up if it is hopeless."""

HOPELESS = 2.0
"""A network this much behind the best one, in nats, takes no steps in a race, and has no hope."""

FEWEST_RUNNERS = 3
"""Networks that take steps in a race, and show what these bring, before another is spared them."""

MOST_GAINS = 3.0
"""How many times as much as any of them has gained another may still have to gain."""

LEAST_REACH = 0.05
"""What it may have to gain in any case, in nats for each target."""

FALLEN_BEHIND = 0.25
"""A network of lower frequency that is hopeless is given up if it is also this much behind, in
nats, what the best one was after half as many steps: on exact rows merits rise by several nats,
those of low frequencies late."""


@torch.no_grad()
def fit_most_probable(stack: SirenStack, stages: Sequence[JetRows], descent: Descent) -> Choice:
    """Fit the one of several networks that has the most merit for a small table.

    Of a table of more than `FEW_ROWS` rows, or several outputs of more than `FEW_NUMBERS` targets,
    the larger part is spared until that network is chosen and fitted to the rest. Where it misses
    more than noise can be, it is chosen anew, and where it misses something of rows that it is not
    fitted to, those decide.

    Parameters
    ----------
    stack : SirenStack of K networks
        As they start, in float64 on the CPU, by ascending frequency, and then those that are tried
        where the one chosen misses something, by descending frequency.
    stages : sequence of JetRows
        What is fitted, one after another; the first of them chooses the network.
    descent : Descent

    Returns
    -------
    choice : Choice
    """
    rows = stages[0]
    few = rows.thinned(FEW_ROWS).with_few_outputs(FEW_NUMBERS)
    choice = _choose(stack, few, descent)
    if not descent.ended_by:
        choice = _miss_no_more_than_noise(stack, rows, few, choice, descent)
    if not descent.ended_by:
        choice = prefer_lower(stack, rows, few, choice, descent)
    fit, chosen = choice
    if fit.n_numbers < rows.n_known and not descent.ended_by:
        fit = fit.with_more(rows)
        descent.run(fit)
    for rows in stages[1:]:
        if descent.ended_by:
            break
        fit = LeastSquaresFit(fit.stack, rows, earlier_losses=fit.losses)
        descent.run(fit)
    return Choice(fit, chosen)


def advance_to_review(fit: LeastSquaresFit, descent: Descent) -> None:
    """Take the steps up to the next review."""
    descent.run(fit, REVIEW_INTERVAL)
    fit.review()


def settle(fit: LeastSquaresFit, descent: Descent, ahead: LeastSquaresFit) -> None:
    """Take steps until the merit is plain, or hopeless beside that of the fit that is ahead."""
    while not (descent.ended_by or _is_plain(fit, descent.max_iter)):
        if fit.n_steps >= PROBATION and _is_hopeless(fit, ahead):
            break
        advance_to_review(fit, descent)


def _is_hopeless(fit: LeastSquaresFit, ahead: LeastSquaresFit) -> bool:
    """Return whether a fit is far behind another, and behind what that was at half its age."""
    then = ahead.merits[min(len(fit.merits) // 2, len(ahead.merits) - 1)]
    return fit.merit < min(ahead.merit - HOPELESS, then - FALLEN_BEHIND)


def _is_plain(fit: LeastSquaresFit, max_iter: int) -> bool:
    """Return whether the merit of a fit is what it will be."""
    return len(fit.losses) >= max_iter or fit.has_converged or fit.has_settled


def race(
    stack: SirenStack, rows: JetRows, descent: Descent, most_noise: float = inf
) -> tuple[dict[int, LeastSquaresFit], int]:
    """Take a few steps with the networks that begin well, and say which has the most merit.

    Those that begin best take the steps first: what they gain, little in noise and much where rows
    are exact, tells which of the others may still get ahead.
    """
    fits = _line_up(stack, rows, most_noise)
    order = sorted(fits, key=lambda k: fits[k].merit, reverse=True)
    least = fits[order[0]].merit - HOPELESS
    runners: list[int] = []
    ahead, gain = -inf, 0.0
    for k in order:
        begun = fits[k].merit
        reach = max(LEAST_REACH, MOST_GAINS * gain)
        is_beaten = len(runners) >= FEWEST_RUNNERS and begun + reach < ahead
        if is_beaten or begun < least or (runners and descent.ended_by):
            break
        advance_to_review(fits[k], descent)
        runners.append(k)
        ahead, gain = max(ahead, fits[k].merit), max(gain, fits[k].merit - begun)
    return fits, max(runners, key=lambda k: fits[k].rank)


def _line_up(stack: SirenStack, rows: JetRows, most_noise: float) -> dict[int, LeastSquaresFit]:
    """Return networks at their initial weights, by descending frequency until those are far behind.

    The others are not in what is returned.
    """
    fits: dict[int, LeastSquaresFit] = {}
    failures, most = 0, -inf
    for k in reversed(range(n_ascending(stack))):
        fits[k] = LeastSquaresFit(stack.take(k), rows, most_noise=most_noise)
        fits[k].review()
        most = max(most, fits[k].merit)
        failures = failures + 1 if fits[k].merit < most - FAR_BEHIND else 0
        if failures == MOST_FAILURES:
            break
    return fits


def _choose(stack: SirenStack, rows: JetRows, descent: Descent, most_noise: float = inf) -> Choice:
    """Fit the network that is ahead when it is plain what it comes to, or a better one.

    Merits fall as a network leaves its initial weights, and others are ahead then. Those of lower
    frequency are tried as long as they are better: they show late what they can do.
    """
    fits, best = race(stack, rows, descent, most_noise)
    while not (descent.ended_by or _is_plain(fits[best], descent.max_iter)):
        advance_to_review(fits[best], descent)
        best = max(fits, key=lambda k: fits[k].rank)
    failures = 0
    for k in reversed(range(best)):
        if descent.ended_by or failures == MOST_FAILURES:
            break
        if k not in fits:
            fits[k] = LeastSquaresFit(stack.take(k), rows, most_noise=most_noise)
        settle(fits[k], descent, fits[best])
        failures += 1
        if fits[k].rank > fits[best].rank:
            best, failures = k, 0
    if not descent.ended_by:
        descent.run(fits[best])
        best = _prefer_promising(fits, best, descent)
    return Choice(fits[best], best)


def _miss_no_more_than_noise(
    stack: SirenStack, rows: JetRows, few: JetRows, choice: Choice, descent: Descent
) -> Choice:
    """Choose anew with less noise, if a network misses more than neighbouring rows show of it.

    It takes a part of the function for noise then, as where narrow peaks are far apart.
    """
    if choice.fit.misfit <= MISSES_LITTLE:
        return choice
    most_noise = noise_bound(rows.with_outputs_of(few))
    if choice.fit.loss <= most_noise:
        return choice
    again = _choose(stack, few, descent, most_noise)
    return min(choice, again, key=lambda found: found.fit.loss)


def _prefer_promising(fits: dict[int, LeastSquaresFit], best: int, descent: Descent) -> int:
    """Fit the network that was to miss least of unseen targets, if the best misses more of its own.

    The best one takes fast ripples on a slow function for noise then: its merit has not fallen, as
    that of a network of high frequency does while it learns.
    """
    promising = min(fits, key=lambda k: fits[k].promised_error)
    misses_more = fits[best].loss > fits[promising].promised_error
    if fits[best].misfit > MISSES_LITTLE and misses_more and descent.run(fits[promising]):
        return promising
    return best
