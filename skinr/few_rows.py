"""Large tables that a few of their rows explain: where a network begins on them."""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from typing import NamedTuple

import torch
from scipy.spatial import KDTree
from torch import Tensor

from skinr.descent import Descent
from skinr.evidence import TINY
from skinr.jet_rows import JetRows
from skinr.least_squares import LeastSquaresFit
from skinr.members import candidates_of_members, fit_members, resize_members
from skinr.most_probable import fit_most_probable, race
from skinr.network import SirenStack
from skinr.passes import evaluate

FIRST_NUMBERS = 300
"""Targets that show whether it is worth while to take more."""

SECOND_NUMBERS = 2000
"""Targets that the network is fitted to then."""

NUMBERS_OF_OTHERS = 1000
"""Targets that the other members of an ensemble are fitted to, which needn't find frequency and
noise: twice as many leave no less, and take 8 to 40 s more for seven of them."""

VARIANCE_TO_GO_ON, VARIANCE_TO_KEEP = 0.03, 1e-3
"""Shares of the variance of the targets that the first and the second fit may leave to the other
rows, however many these are."""

EXPONENT_TO_GO_ON, EXPONENT_TO_KEEP = 1 / 16, 2 / 5
"""Otherwise the share of the residuals that neighbours have in common may be that of the targets
which the second fit sees, to these powers: the more rows there are, the less of their noise a
network learns that is drawn anew."""

MOST_RESIDUALS_TO_KEEP = 0.65
"""The most that neighbours may have in common however few the other rows are: oscillations that
2000 rows can't show are learned anew."""

MOST_WITNESSES = 2**16
"""Rows among which neighbours are looked for."""

MOST_PAIRS = 10_000
"""Pairs of neighbours that are compared."""


class Leftover(NamedTuple):
    """What a network leaves for other rows to explain.

    Parameters
    ----------
    share_of_variance : float
        Of the targets.
    share_of_residuals : float
        The rest of them is noise.
    """

    share_of_variance: float
    share_of_residuals: float

    def is_within(self, of_variance: float, of_residuals: float) -> bool:
        """Whether one of the two shares is small enough."""
        return self.share_of_variance <= of_variance or self.share_of_residuals <= of_residuals


@torch.no_grad()
def begin_with_few(
    stack: SirenStack, n_members: int, tables: Iterator[JetRows], descent: Descent
) -> list[LeastSquaresFit]:
    """Fit networks to a few rows, unless they leave too much for the others to explain.

    Where a few rows explain a table they determine its frequency as well, and what the others can
    do is to average out more of the noise. The members of an ensemble take frequency and noise from
    the first. Where the fit is interrupted, there will be no better network than that.

    Parameters
    ----------
    stack : SirenStack
        As networks start, in float64 on the CPU: for each member those that come into question, in
        the order of :func:`fit_most_probable`.
    n_members : int
    tables : iterator of JetRows
        What each member is to be fitted to: values alone, all known, at least three.
    descent : Descent

    Returns
    -------
    fits : list of LeastSquaresFit
        One for each member; of the first alone, where something interrupts; empty, where the few
        leave too much.
    """
    candidates = candidates_of_members(stack, n_members)
    first, chosen = _begin_first(candidates[0], next(tables), descent)
    if first is None:
        return []
    if descent.ended_by or n_members == 1:
        return [first]
    starts = [own.take(chosen) for own in candidates[1:]]
    few = [_in_float64(_few_of(rows, NUMBERS_OF_OTHERS)) for rows in tables]
    resize_members(starts, few, first)
    others = fit_members(starts, few, first, descent)
    return [first] if descent.ended_by else [first, *others]


def _begin_first(
    stack: SirenStack, rows: JetRows, descent: Descent
) -> tuple[LeastSquaresFit | None, int]:
    """Return the fit of one of several networks, unless it leaves too much, and which of them."""
    share = SECOND_NUMBERS / rows.targets.numel()
    rows = _in_float64(rows.thinned(MOST_WITNESSES))
    fits, best = race(stack, _few_of(rows, FIRST_NUMBERS), descent)
    if descent.ended_by or not descent.run(fits[best]):
        return fits[best], best
    left = leftover(fits[best].stack, rows)
    if not left.is_within(VARIANCE_TO_GO_ON, share**EXPONENT_TO_GO_ON):
        return None, best
    second = _few_of(rows, SECOND_NUMBERS)
    fit, chosen = fit_most_probable(stack, [second], descent)
    if descent.ended_by:
        results = [(fits[best], best), (fit, chosen)]
        return min(results, key=lambda result: float(result[0].missed(rows).mean()))
    most = min(MOST_RESIDUALS_TO_KEEP, share**EXPONENT_TO_KEEP)
    explains_rest = leftover(fit.stack, rows).is_within(VARIANCE_TO_KEEP, most)
    return fit if explains_rest else None, chosen


def leftover(stack: SirenStack, rows: JetRows) -> Leftover:
    """Return how much of the residuals neighbours have in common.

    Noise differs from row to row, and what a network has missed of a function does not: it is the
    mean product of the residuals of nearest neighbours, as far as rows are dense enough to show it.

    Parameters
    ----------
    stack : SirenStack of one network
    rows : JetRows

    Returns
    -------
    leftover : Leftover
        Both shares are of the mean product less two standard errors.
    """
    coordinates = rows.coordinates.numpy()
    draw = torch.Generator().manual_seed(0)
    itself = torch.randperm(len(coordinates), generator=draw, device="cpu")[:MOST_PAIRS]
    nearest = torch.from_numpy(KDTree(coordinates).query(coordinates[itself.numpy()], k=2)[1])
    other = torch.where(nearest[:, 0] == itself, nearest[:, 1], nearest[:, 0])
    residual = rows.targets[0] - evaluate(stack, rows.coordinates[None])[0]
    residual *= rows.root_weight[0]
    products = (residual[itself] * residual[other]).sum(dim=1)
    common = float(products.mean() - 2 * products.std() / sqrt(len(products)))
    variance = float((rows.targets[0] * rows.root_weight[0]).var(dim=0).sum())
    square = float(residual.square().sum(dim=1).mean())
    return Leftover(common / max(variance, TINY), common / max(square, TINY))


def _few_of(rows: JetRows, n_numbers: int) -> JetRows:
    return rows.thinned(max(2, n_numbers // rows.targets.shape[2]))


def _in_float64(rows: JetRows) -> JetRows:
    def convert(part: Tensor) -> Tensor:
        return part.cpu().double()

    return JetRows(convert(rows.coordinates), convert(rows.targets), convert(rows.root_weight))
