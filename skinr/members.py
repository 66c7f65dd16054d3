"""The other members of an ensemble, by what its first network has found out about a table."""

from __future__ import annotations

import torch

from skinr.evidence import TINY
from skinr.jet_rows import JetRows
from skinr.least_squares import Findings, LeastSquaresFit
from skinr.most_probable import descend
from skinr.network import SirenStack
from skinr.passes import evaluate
from skinr.training import Monitor

MOST_WIDENED = 100
"""Times an output weight."""

MOST_LOSS, MOST_LOST = 3.0, 0.01
"""Of the mean squared residual of the first network, where a member has noise of its own, and of
the mean squared target besides: what a member leaves that has found the function."""


@torch.no_grad()
def fit_member(
    start: SirenStack,
    rows: JetRows,
    first: LeastSquaresFit,
    found: Findings,
    max_iter: int,
    monitor: Monitor,
) -> tuple[LeastSquaresFit, str | None]:
    """Fit another network to a table that one has been fitted to.

    Output weights are scaled so that its initial function is as large as the prior expects, or as
    the targets. A network of low frequency does not find a fast oscillation from everywhere: where
    this one does not, it is the first that goes on.

    Parameters
    ----------
    start : SirenStack
        Of one network, as it starts, of the frequency that the first one has; updated in place.
    rows : JetRows
    first : LeastSquaresFit
    found : Findings
        Of the first one.
    max_iter : int
        Most steps.
    monitor : Monitor

    Returns
    -------
    fit : LeastSquaresFit
    interruption : str or None
    """
    _resize(start, rows, found.variance)
    fit = LeastSquaresFit(start, rows, found)
    interruption = descend(fit, max_iter, monitor)
    power = float((rows.targets * rows.root_weight).square().mean())
    if interruption or fit.loss <= MOST_LOSS * first.loss + MOST_LOST * power:
        return fit, interruption
    return go_on(first, rows, found, max_iter, monitor)


def go_on(
    first: LeastSquaresFit, rows: JetRows, found: Findings, max_iter: int, monitor: Monitor
) -> tuple[LeastSquaresFit, str | None]:
    """Fit the first network to rows of a member, from where it is."""
    fit = LeastSquaresFit(first.stack.take(0), rows, found, anchor=first.anchor)
    return fit, descend(fit, max_iter, monitor)


def _resize(start: SirenStack, rows: JetRows, variance: float) -> None:
    """Scale output weights so that functions are as large as that, or as the targets."""
    expected = rows.targets[0].square().mean(dim=0).clamp_max(variance)
    present = evaluate(start, rows.coordinates[None])[0].square().mean(dim=0)
    weight, _ = start.layers(start.parameters)[-1]
    weight *= (expected / present.clamp_min(TINY)).sqrt().clamp_max(MOST_WIDENED)
