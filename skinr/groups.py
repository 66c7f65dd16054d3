"""Fits of one shape, trained as one stack."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import pairwise
from math import ceil, inf, isfinite
from time import perf_counter
from typing import Any, NamedTuple

import joblib
import numpy as np
import torch
from sklearn.base import BaseEstimator

from skinr.losses import Objective
from skinr.network import SirenStack
from skinr.optimizers import AdamState, learning_rates
from skinr.regressor import Problem, SirenRegressor
from skinr.rows import TrainingRows
from skinr.training import CHECK_INTERVAL, STEP_BACK_FACTOR, History, Monitor, train

GROUP_SIZE = 24
"""Fits of a group on a CPU; more of them would not be faster."""

HALVINGS = (0.25, 0.5)
"""Shares of the updates after which the worse half of the candidates is dropped."""

PER_NETWORK = {
    "alpha",
    "first_layer_init",
    "hidden_omega_0",
    "learning_rate_init",
    "normalize_X",
    "normalize_y",
    "omega_0",
    "random_state",
    "verbose",
    "weight_scale",
}
"""Parameters in which the networks of a stack may differ."""


class Judge(NamedTuple):
    """Scores an estimator on rows that it was not fitted to.

    Parameters
    ----------
    estimator : SirenRegressor or Pipeline that ends in one
    scorer : callable
    metric : str or bool
        Which score counts where the scorer returns several.
    rows : tuple
        X, and y if there is one.
    metadata : dict
    """

    estimator: BaseEstimator
    scorer: Callable[..., Any]
    metric: Any
    rows: tuple[Any, ...]
    metadata: dict[str, Any]

    def score(self) -> float:
        """Return the score as it is by now, -inf where there is none."""
        try:
            score = self.scorer(self.estimator, *self.rows, **self.metadata)
        except Exception:
            return -inf
        value = float(score[self.metric] if isinstance(score, dict) else score)
        return value if isfinite(value) else -inf


class Fit(NamedTuple):
    """A regressor, and what it is to be fitted to.

    Parameters
    ----------
    regressor : SirenRegressor
        Its parameters; it becomes the fitted one.
    arguments : dict
        Of its `fit`.
    candidate : int
        Fits of one candidate stay in one group.
    judge : Judge, optional
    """

    regressor: SirenRegressor
    arguments: dict[str, Any]
    candidate: int
    judge: Judge | None = None

    @property
    def goes_alone(self) -> bool:
        """Whether the fit asks for something that a stack does not do."""
        regressor = self.regressor
        return (
            regressor.early_stopping
            or regressor.max_time is not None
            or regressor.checkpoint is not None
            or not self.arguments.keys() <= {"X", "y", "sample_weight"}
        )

    @property
    def shared(self) -> Hashable:
        """The parameters that the networks of a stack have in common."""
        parameters = self.regressor.get_params(deep=False)
        return str(
            joblib.hash(
                {name: parameters[name] for name in sorted(parameters.keys() - PER_NETWORK)}
            )
        )


class Outcome(NamedTuple):
    """What became of a fit.

    Parameters
    ----------
    regressor : SirenRegressor or None
        Fitted; None where `fit` raises an error.
    seconds : float
        Its share of the time of its group.
    """

    regressor: SirenRegressor | None
    seconds: float

    @property
    def was_dropped(self) -> bool:
        """Whether training ended before its time."""
        return self.regressor is not None and self.regressor.n_iter_ < self.regressor.max_iter


def make_groups(fits: Sequence[Fit], n_workers: int) -> list[list[int]]:
    """Divide fits into groups that can be trained as stacks, enough of them for all workers.

    Parameters
    ----------
    fits : sequence of Fit
        Those of one candidate side by side.
    n_workers : int

    Returns
    -------
    groups : list of lists of indices
    """
    size = min(GROUP_SIZE, ceil(len(fits) / n_workers))
    by_shape: dict[Hashable, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, fit in enumerate(fits):
        shape = index if fit.goes_alone else fit.shared
        by_shape[shape][fit.candidate].append(index)
    return [group for folds in by_shape.values() for group in _fill(folds.values(), size)]


def _fill(parts: Iterable[list[int]], size: int) -> list[list[int]]:
    groups: list[list[int]] = []
    for part in parts:
        if groups and len(groups[-1]) + len(part) <= size:
            groups[-1] += part
        else:
            groups.append(list(part))
    return groups


def fit_group(fits: Sequence[Fit], *, halving: bool = False) -> list[Outcome]:
    """Do the fits of a group, those of one shape as a stack.

    Parameters
    ----------
    fits : sequence of Fit
    halving : bool, default=False
        Whether to drop the worse half of the candidates now and then: their networks remain as
        they are by then.

    Returns
    -------
    outcomes : list of Outcome
    """
    start = perf_counter()
    by_shape = defaultdict(list)
    failed = set()
    for index, fit in enumerate(fits):
        try:
            if fit.goes_alone:
                fit.regressor.fit(**fit.arguments)
            else:
                run = Run.begin(fit)
                by_shape[run.shape].append(run)
        except Exception:
            failed.add(index)
    for runs in by_shape.values():
        _train(runs, halving=halving)
    seconds = (perf_counter() - start) / len(fits)
    return [
        Outcome(None if index in failed else fit.regressor, seconds)
        for index, fit in enumerate(fits)
    ]


class Run(NamedTuple):
    """A fit on its way.

    Parameters
    ----------
    fit : Fit
    problem : Problem
    stack : SirenStack
        Its network, as a stack of one.
    state : AdamState
    history : History
    """

    fit: Fit
    problem: Problem
    stack: SirenStack
    state: AdamState
    history: History

    @classmethod
    def begin(cls, fit: Fit) -> Run:
        """Validate and prepare a fit."""
        fit.regressor._validate_params()
        problem = fit.regressor._prepare(**fit.arguments)
        zeros = torch.zeros_like(problem.stack.parameters)
        history = History(np.empty((0, 1)), None, np.zeros(1), None)
        return cls(fit, problem, problem.stack, AdamState(zeros, zeros, 0), history)

    @property
    def shape(self) -> Hashable:
        """What the networks of a stack have in common beside their parameters."""
        fills_batch = self.problem.rows.n_rows <= self.fit.regressor._batch_size()
        return self.stack.architecture, self.stack.parameters.device, fills_batch

    @property
    def rate(self) -> float:
        """The highest learning rate that is left after the divergences so far."""
        return float(self.problem.rate * STEP_BACK_FACTOR ** self.history.n_step_backs[0])

    def finish(self) -> None:
        """Make the regressor the one that this run has come to, and warn if it diverged."""
        self.fit.regressor._finish(self.stack, self.problem.units, self.problem.rate, self.history)


def _train(runs: list[Run], *, halving: bool) -> None:
    """Train runs of one shape to their end, or until they are dropped."""
    max_iter = runs[0].fit.regressor.max_iter
    shares = HALVINGS if halving else ()
    stops = {round(share * max_iter / CHECK_INTERVAL) * CHECK_INTERVAL for share in shares}
    for first, last in pairwise(sorted({0, *stops, max_iter})):
        runs = _advance(runs, first, last)
        for run in runs:
            run.finish()
        if last < max_iter:
            runs = _better_half(runs)


def _advance(runs: list[Run], first: int, last: int) -> list[Run]:
    """Do the updates from `first` to `last` as one stack."""
    regressor = runs[0].fit.regressor
    batch_size = regressor._batch_size()
    stack = SirenStack.join([run.stack for run in runs])
    optimizer = regressor._adam(stack, AdamState.join([run.state for run in runs]))
    peak = max(run.rate for run in runs)
    optimizer.slow_down(stack.parameters.new_tensor([run.rate / peak for run in runs]))
    history = train(
        stack,
        TrainingRows.join([run.problem.rows for run in runs], batch_size),
        Objective(stack, regressor.loss, [run.fit.regressor.alpha for run in runs]),
        optimizer,
        learning_rates(regressor.learning_rate, peak, regressor.max_iter)[first:last],
        batch_size=batch_size,
        generators=[run.problem.generator for run in runs],
        monitor=Monitor(),
    )
    return [
        run._replace(
            stack=stack.take(k),
            state=optimizer.state.take(k),
            history=run.history.extend(history.take(k)),
        )
        for k, run in enumerate(runs)
    ]


def _better_half(runs: list[Run]) -> list[Run]:
    """Return the runs of those candidates whose mean score is in the better half."""
    scores: dict[int, list[float]] = defaultdict(list)
    for run in runs:
        assert run.fit.judge is not None
        scores[run.fit.candidate].append(run.fit.judge.score())
    ranking = sorted(scores, key=lambda candidate: float(np.mean(scores[candidate])), reverse=True)
    kept = set(ranking[: ceil(len(ranking) / 2)])
    return [run for run in runs if run.fit.candidate in kept]
