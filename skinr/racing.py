"""Which candidates lose a race, and stacks that are trained until theirs have."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from math import inf

import numpy as np

from skinr.fits import Fit
from skinr.solve import warn_of
from skinr.stacks import Run, advance
from skinr.training import CHECK_INTERVAL

N_LOOKS = 10
"""Looks at the scores of candidates that race, the last of them at the end."""


def train_runs(runs: list[Run], *, racing: bool) -> set[int]:
    """Train runs of one shape to their end, and return the candidates that were dropped."""
    max_iter = runs[0].fit.regressor.max_iter
    n_parts = N_LOOKS if racing else 1
    looks = {CHECK_INTERVAL * (k * max_iter // (n_parts * CHECK_INTERVAL)) for k in range(n_parts)}
    scores: dict[int, float] = {}
    losing: set[int] = set()
    dropped: set[int] = set()
    for first, last in pairwise([*sorted(looks), max_iter]):
        runs = advance(runs, first, last)
        if not runs:
            break
        for run in runs:
            run.deliver()
        if last < max_iter:
            earlier, scores = scores, _mean_scores(runs)
            before, losing = losing, _losing(earlier, scores, (max_iter - last) / (last - first))
            dropped |= before & losing
            runs = [run for run in runs if run.fit.candidate not in dropped]
    for run in runs:
        with run.fit.attempt():
            warn_of(run.history, run.problem.rate, stacklevel=2)
    return dropped


def score_of(fit: Fit) -> float:
    """Return the score, as it is by now, of a fit that races."""
    assert fit.judge is not None
    return fit.judge.score()


def worse_half(scores: dict[int, list[float]]) -> set[int]:
    """Return the candidates whose mean score is worse than that of half of them."""
    means = _means(scores)
    best_first = sorted(means.values(), reverse=True)
    return {k for k, mean in means.items() if mean < best_first[(len(means) - 1) // 2]}


def _mean_scores(runs: list[Run]) -> dict[int, float]:
    scores: dict[int, list[float]] = defaultdict(list)
    for run in runs:
        scores[run.fit.candidate].append(score_of(run.fit))
    return _means(scores)


def _means(scores: dict[int, list[float]]) -> dict[int, float]:
    return {candidate: float(np.mean(folds)) for candidate, folds in scores.items()}


def _losing(earlier: dict[int, float], scores: dict[int, float], left: float) -> set[int]:
    """Return the candidates that at their pace will not reach the score that the best one has.

    Parameters
    ----------
    earlier, scores : dict
        Mean scores of the candidates at the last look, if there was one, and now.
    left : float
        What is left of the training, in units of the time between the two.
    """
    best = max(scores.values())
    return {
        candidate
        for candidate, score in scores.items()
        if score + left * max(0.0, score - earlier.get(candidate, -inf)) < best
    }
