"""Fits in groups: those of one shape together as stacks, the others one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from itertools import chain
from math import ceil
from time import perf_counter
from typing import NamedTuple

from sklearn.utils import gen_batches

from skinr.fits import Fit
from skinr.interruption import Interruption, parts_of_a_whole
from skinr.racing import score_of, train_runs, worse_half
from skinr.regressor import SirenRegressor
from skinr.solve import warn_of
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
        Whether its candidate lost a race.
    was_done : bool
        False for a fold that was skipped because its candidate was dropped before its turn; the
        regressor is then that of the fold before.
    """

    regressor: SirenRegressor | None
    seconds: float
    was_dropped: bool
    was_done: bool


def make_groups(fits: Sequence[Fit], n_workers: int, *, racing: bool = False) -> list[list[int]]:
    """Divide fits into groups that can be trained as stacks, enough of them for all workers.

    Unless they race, fits that go alone share a group only with those that other threads do beside
    them, so that a cache keeps each of them soon.

    Parameters
    ----------
    fits : sequence of Fit
        Those of one candidate side by side.
    n_workers : int
    racing : bool, default=False

    Returns
    -------
    groups : list of lists of indices
    """
    by_shape: dict[Hashable, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, fit in enumerate(fits):
        is_alone = fit.goes_alone and not racing
        shape, part = ("alone", index) if is_alone else (fit.shared, fit.candidate)
        by_shape[shape][part].append(index)
    groups = []
    for shape, candidates in by_shape.items():
        folds = list(candidates.values())
        n_fits = sum(len(indices) for indices in folds)
        most = _most_fits(fits[folds[0][0]], n_workers, is_alone=shape == "alone")
        most = min(most, ceil(len(fits) / n_workers))
        parts = gen_batches(len(folds), ceil(len(folds) / ceil(n_fits / most)))
        groups += [list(chain(*folds[part])) for part in parts]
    return groups


def _most_fits(fit: Fit, n_workers: int, *, is_alone: bool) -> int:
    if is_alone:
        return fit.n_threads if n_workers == 1 else 1
    return CPU_GROUP_SIZE if fit.is_for_cpu else GPU_GROUP_SIZE


def fit_group(fits: Sequence[Fit], *, racing: bool = False) -> list[Outcome]:
    """Do the fits of a group, those of one shape as a stack.

    Parameters
    ----------
    fits : sequence of Fit
        Those of one candidate side by side.
    racing : bool, default=False
        Whether to drop candidates that lose. Their networks in a stack remain as they are by then;
        where fits go one by one, the better half of the candidates goes on to the next fold.

    Returns
    -------
    outcomes : list of Outcome
    """
    start = perf_counter()
    beginnings: dict[int, Run | None]
    if racing:
        beginnings, dropped = _begin_fold_by_fold(fits)
    else:
        begun = map_in_threads(_begin, fits, fits[0].n_threads)
        beginnings, dropped = dict(enumerate(begun)), set()
    by_shape = defaultdict(list)
    for run in beginnings.values():
        if run is not None:
            by_shape[run.shape].append(run)
    with parts_of_a_whole():
        for runs in by_shape.values():
            dropped |= train_runs(runs, racing=racing)
    seconds = (perf_counter() - start) / len(fits)
    outcomes: list[Outcome] = []
    for index, fit in enumerate(fits):
        was_dropped, was_done = fit.candidate in dropped, index in beginnings
        own = fit.regressor if fit.is_done else None
        regressor = own if was_done else outcomes[-1].regressor
        outcomes.append(Outcome(regressor, seconds, was_dropped, was_done))
    return outcomes


def _begin_fold_by_fold(fits: Sequence[Fit]) -> tuple[dict[int, Run | None], set[int]]:
    """Begin the fits of a race, and say whose candidates have lost it before their last fold."""
    beginnings: dict[int, Run | None] = {}
    scores: dict[int, list[float]] = defaultdict(list)
    dropped: set[int] = set()
    for fold in _folds(fits):
        dropped |= worse_half({k: scores[k] for k in scores.keys() - dropped})
        left = [index for index in fold if fits[index].candidate not in dropped]
        begun = map_in_threads(_begin, [fits[index] for index in left], fits[0].n_threads)
        beginnings.update(zip(left, begun, strict=True))
        for index in left:
            if beginnings[index] is None:
                scores[fits[index].candidate].append(score_of(fits[index]))
    return beginnings, dropped


def _folds(fits: Sequence[Fit]) -> list[list[int]]:
    """Return the indices of the first fits of all candidates, of the second ones, and so on."""
    folds: dict[int, list[int]] = defaultdict(list)
    n_before: dict[int, int] = defaultdict(int)
    for index, fit in enumerate(fits):
        folds[n_before[fit.candidate]].append(index)
        n_before[fit.candidate] += 1
    return list(folds.values())


def _begin(fit: Fit) -> Run | None:
    """Prepare a fit, and do it if it is not for a stack."""
    with fit.attempt(), Interruption(fit.regressor.max_time) as interruption:
        run = Run.begin(fit)
        if not run.goes_alone:
            return run
        history = fit.regressor._solve(run.problem, interruption)
        warn_of(history, run.problem.rate, stacklevel=2)
    return None
