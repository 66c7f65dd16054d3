"""The other members of an ensemble, by what its first network has found out about a table."""

from __future__ import annotations

from collections.abc import Sequence

from skinr.descent import Descent
from skinr.evidence import TINY
from skinr.jet_rows import JetRows
from skinr.least_squares import Findings, LeastSquaresFit
from skinr.network import SirenStack
from skinr.passes import evaluate
from skinr.threads import count_threads, map_in_threads

MOST_WIDENED = 100
"""Times an output weight."""

MOST_LOSS, MOST_LOST = 3.0, 0.01
"""Of the mean squared residual of the first network, where a member has noise of its own, and of
the mean squared target besides: what a member leaves that has found the function."""


def candidates_of_members(stack: SirenStack, n_members: int) -> list[SirenStack]:
    """Return for each member the networks of which one is chosen, which a stack has in a row."""
    n_each = len(stack) // n_members
    return [stack.take(*range(begin, begin + n_each)) for begin in range(0, len(stack), n_each)]


def resize_members(
    starts: Sequence[SirenStack], tables: Sequence[JetRows], first: LeastSquaresFit
) -> None:
    """Scale output weights so that initial functions are as large as the prior expects.

    Or as the targets, where these are smaller. Parameters are those of :func:`fit_members`.
    """
    variance = first.prior_variance()
    for start, rows in zip(starts, tables, strict=True):
        expected = rows.targets[0].square().mean(dim=0).clamp_max(variance)
        present = evaluate(start, rows.coordinates[None])[0].square().mean(dim=0)
        weight, _ = start.layers(start.parameters)[-1]
        weight *= (expected / present.clamp_min(TINY)).sqrt().clamp_max(MOST_WIDENED)


def fit_members(
    starts: Sequence[SirenStack | None],
    tables: Sequence[JetRows],
    first: LeastSquaresFit,
    descent: Descent,
) -> list[LeastSquaresFit]:
    """Fit networks to a table that one has been fitted to, some side by side.

    A network of low frequency does not find a fast oscillation from everywhere: where one does not,
    the first goes on in its place.

    Parameters
    ----------
    starts : sequence of SirenStack or None
        Of one network, where it starts, of the frequency that the first one has; updated in place.
        None is the first one, which goes on.
    tables : sequence of JetRows
        What each is fitted to.
    first : LeastSquaresFit
    descent : Descent

    Returns
    -------
    fits : list of LeastSquaresFit
        Those that were done where the others were interrupted.
    """
    found = first.findings()

    def fit(task: tuple[SirenStack | None, JetRows]) -> LeastSquaresFit | None:
        return None if descent.is_interrupted() else _fit_member(*task, first, found, descent)

    tasks = list(zip(starts, tables, strict=True))
    return [fit for fit in map_in_threads(fit, tasks, count_threads()) if fit is not None]


def _fit_member(
    start: SirenStack | None,
    rows: JetRows,
    first: LeastSquaresFit,
    found: Findings,
    descent: Descent,
) -> LeastSquaresFit | None:
    """Fit one network, or return None where something interrupts."""
    if start is not None:
        fit = LeastSquaresFit(start, rows, found)
        if not descent.run(fit):
            return None
        if fit.loss <= MOST_LOSS * first.loss + MOST_LOST * fit.power:
            return fit
    fit = LeastSquaresFit(first.stack.take(0), rows, found, anchor=first.anchor)
    return fit if descent.run(fit) else None
