"""Fits in groups: those of one shape together as stacks, the others one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from enum import Enum, auto
from itertools import chain
from math import ceil
from time import perf_counter
from typing import NamedTuple

from sklearn.utils import gen_batches

from skinr.fits import Fit
from skinr.racing import train_runs
from skinr.regressor import SirenRegressor
from skinr.stacks import Run
from skinr.threads import map_in_threads

CPU_GROUP_SIZE = 24
"""About the most fits of a group on a CPU, which is what a cache keeps and a lost worker costs."""

GPU_GROUP_SIZE = 1024
"""The same elsewhere."""


class Outcome(NamedTuple):
    """What became of a fit.

    Parameters
    ----------
    regressor : SirenRegressor or None
        Fitted; None where `fit` raises an error.
    seconds : float
        Its share of the time of its group.
    was_dropped : bool
        Whether it lost a race.
    """

    regressor: SirenRegressor | None
    seconds: float
    was_dropped: bool


def make_groups(fits: Sequence[Fit], n_workers: int) -> list[list[int]]:
    """Divide fits into groups that can be trained as stacks, enough of them for all workers.

    Fits that go alone share a group only with those that other threads do beside them, so that a
    cache keeps each of them soon.

    Parameters
    ----------
    fits : sequence of Fit
        Those of one candidate side by side.
    n_workers : int

    Returns
    -------
    groups : list of lists of indices
    """
    by_shape: dict[Hashable, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, fit in enumerate(fits):
        shape, part = ("alone", index) if fit.goes_alone else (fit.shared, fit.candidate)
        by_shape[shape][part].append(index)
    groups = []
    for candidates in by_shape.values():
        folds = list(candidates.values())
        n_fits = sum(len(indices) for indices in folds)
        most = min(_most_fits(fits[folds[0][0]], n_workers), ceil(len(fits) / n_workers))
        parts = gen_batches(len(folds), ceil(len(folds) / ceil(n_fits / most)))
        groups += [list(chain(*folds[part])) for part in parts]
    return groups


def _most_fits(fit: Fit, n_workers: int) -> int:
    if fit.goes_alone:
        return fit.n_threads if n_workers == 1 else 1
    return CPU_GROUP_SIZE if fit.is_for_cpu else GPU_GROUP_SIZE


def fit_group(fits: Sequence[Fit], *, racing: bool = False) -> list[Outcome]:
    """Do the fits of a group, those of one shape as a stack.

    Parameters
    ----------
    fits : sequence of Fit
    racing : bool, default=False
        Whether to drop candidates that can't win any more: their networks remain as they are by
        then.

    Returns
    -------
    outcomes : list of Outcome
    """
    start = perf_counter()
    beginnings = map_in_threads(_begin, fits, fits[0].n_threads)
    by_shape = defaultdict(list)
    dropped = set()
    for run in beginnings:
        if isinstance(run, Run):
            by_shape[run.shape].append(run)
    for runs in by_shape.values():
        dropped |= train_runs(runs, racing=racing)
    seconds = (perf_counter() - start) / len(fits)
    return [
        Outcome(None if begun is Lone.FAILED else fit.regressor, seconds, fit.candidate in dropped)
        for fit, begun in zip(fits, beginnings, strict=True)
    ]


class Lone(Enum):
    """What became of a fit that is not for a stack."""

    DONE = auto()
    FAILED = auto()


def _begin(fit: Fit) -> Run | Lone:
    """Prepare a fit, and do it if it is not for a stack."""
    try:
        run = Run.begin(fit)
        if not run.goes_alone:
            return run
        fit.regressor._solve(run.problem)
    except Exception:
        return Lone.FAILED
    return Lone.DONE
