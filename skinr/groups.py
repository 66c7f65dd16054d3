"""Fits of one shape, trained as one stack."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from enum import Enum, auto
from functools import partial
from itertools import chain, pairwise
from math import ceil, inf, isfinite
from time import perf_counter
from typing import Any, NamedTuple

import joblib
import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import gen_batches
from torch import Tensor

from skinr.device import available_devices
from skinr.interruption import Interruption
from skinr.losses import Objective
from skinr.network import SirenStack
from skinr.optimizers import AdamState, learning_rates
from skinr.problem import Problem, prepare
from skinr.regressor import SirenRegressor
from skinr.rows import TrainingRows
from skinr.stored_rows import StoredRows
from skinr.threads import count_threads, map_in_threads
from skinr.training import CHECK_INTERVAL, STEP_BACK_FACTOR, History, Monitor, train

CPU_GROUP_SIZE = 24
"""About the most fits of a group on a CPU, which is what a cache keeps and a lost worker costs."""

GPU_GROUP_SIZE = 1024
"""The same elsewhere."""

N_LOOKS = 10
"""Looks at the scores of candidates that race, the last of them at the end."""

CACHE_BYTES = 2**23
"""Memory of a stack on a CPU: what stays in its caches, also where others use them too."""

SHARE_OF_MEMORY = 0.8
"""Share of a GPU's free memory that a stack may take."""

N_COPIES = 16
"""Tensors of the size of the parameters that training keeps."""

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
            or regressor.n_estimators > 1
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
        return _count_threads(fit) if n_workers == 1 else 1
    return CPU_GROUP_SIZE if _is_for_cpu(fit) else GPU_GROUP_SIZE


def _is_for_cpu(fit: Fit) -> bool:
    device = fit.regressor.device
    return device == "cpu" or (device == "auto" and available_devices() == ["cpu"])


def _count_threads(fit: Fit) -> int:
    return count_threads() if _is_for_cpu(fit) else 1


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
    beginnings = map_in_threads(_begin, fits, _count_threads(fits[0]))
    by_shape = defaultdict(list)
    dropped = set()
    for run in beginnings:
        if isinstance(run, Run):
            by_shape[run.shape].append(run)
    for runs in by_shape.values():
        dropped |= _train(runs, racing=racing)
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


class Run(NamedTuple):
    """A fit on its way.

    Parameters
    ----------
    fit : Fit
    problem : Problem
    stack : SirenStack
        Its network, as a stack of one.
    state : AdamState
    generator_state : Tensor
        Of the generator that draws the order of the rows.
    history : History
    """

    fit: Fit
    problem: Problem
    stack: SirenStack
    state: AdamState
    generator_state: Tensor
    history: History

    @classmethod
    def begin(cls, fit: Fit) -> Run:
        """Validate and prepare a fit."""
        fit.regressor._validate_params()
        problem = prepare(fit.regressor, **fit.arguments, continued=False)
        state = fit.regressor._adam(problem.stack, "adam").state
        history = History(np.empty((0, 1)), None, np.zeros(1), None)
        return cls(fit, problem, problem.stack, state, problem.generators[0].get_state(), history)

    @property
    def goes_alone(self) -> bool:
        """Whether it is not for a stack: by its parameters, its solver or the size of its table."""
        problem = self.problem
        is_large = isinstance(problem.rows, StoredRows)
        return self.fit.goes_alone or problem.solver != "adam" or is_large

    @property
    def shape(self) -> Hashable:
        """What the networks of a stack have in common beside their parameters."""
        batch_size = self.problem.batch_size
        fills_batch = self.problem.rows.n_rows <= batch_size
        return self.stack.architecture, self.stack.parameters.device, batch_size, fills_batch

    @property
    def n_bytes(self) -> int:
        """About what training takes: activations, cosines and residuals, parameters and rows."""
        architecture, rows = self.stack.architecture, self.problem.rows
        widths = sum(fan_out for _, fan_out in architecture.layer_shapes)
        batch_size = min(rows.n_rows, self.problem.batch_size)
        n_numbers = (
            batch_size * (2 * widths + 3 * architecture.n_outputs + architecture.n_features)
            + N_COPIES * architecture.n_parameters
            + 2 * rows.n_rows * (architecture.n_features + architecture.n_outputs + 1)
        )
        return n_numbers * self.stack.parameters.element_size()

    @property
    def rate(self) -> float:
        """The highest learning rate that is left after the divergences so far."""
        return float(self.problem.rate * STEP_BACK_FACTOR ** self.history.n_step_backs[0])

    def deliver(self) -> None:
        """Make the regressor the one that this run has come to, and warn if it diverged."""
        self.fit.regressor._finish(self.stack, self.problem.units, self.problem.rate, self.history)


def _train(runs: list[Run], *, racing: bool) -> set[int]:
    """Train runs of one shape to their end, and return the candidates that were dropped."""
    max_iter = runs[0].fit.regressor.max_iter
    n_parts = N_LOOKS if racing else 1
    looks = {CHECK_INTERVAL * (k * max_iter // (n_parts * CHECK_INTERVAL)) for k in range(n_parts)}
    scores: dict[int, float] = {}
    losing: set[int] = set()
    dropped: set[int] = set()
    for first, last in pairwise([*sorted(looks), max_iter]):
        runs = _advance(runs, first, last)
        for run in runs:
            run.deliver()
        if last < max_iter:
            earlier, scores = scores, _mean_scores(runs)
            before, losing = losing, _losing(earlier, scores, (max_iter - last) / (last - first))
            dropped |= before & losing
            runs = [run for run in runs if run.fit.candidate not in dropped]
    return dropped


def _mean_scores(runs: list[Run]) -> dict[int, float]:
    scores: dict[int, list[float]] = defaultdict(list)
    for run in runs:
        assert run.fit.judge is not None
        scores[run.fit.candidate].append(run.fit.judge.score())
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


def _advance(runs: list[Run], first: int, last: int) -> list[Run]:
    """Do the updates from `first` to `last`, in stacks that suit the memory and the threads."""
    memory = _memory_of_a_stack(runs[0].stack.parameters.device)
    most, n_threads = max(1, memory // runs[0].n_bytes), _count_threads(runs[0].fit)
    n_stacks = n_threads * ceil(len(runs) / (n_threads * most))
    parts = gen_batches(len(runs), ceil(len(runs) / n_stacks))
    advance = partial(_advance_or_halve, first=first, last=last)
    return list(chain(*map_in_threads(advance, [runs[part] for part in parts], n_threads)))


def _memory_of_a_stack(device: torch.device) -> int:
    if device.type != "cuda":
        return CACHE_BYTES
    free, _ = torch.cuda.mem_get_info(device)
    return int(SHARE_OF_MEMORY * free)


def _advance_or_halve(runs: list[Run], first: int, last: int) -> list[Run]:
    """Do updates as one stack, or as two where the memory does not suffice."""
    try:
        return _advance_stack(runs, first, last)
    except (RuntimeError, MemoryError) as error:
        if len(runs) == 1 or not _is_out_of_memory(error):
            raise
    middle = len(runs) // 2
    return [
        *_advance_or_halve(runs[:middle], first, last),
        *_advance_or_halve(runs[middle:], first, last),
    ]


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or (
        "can't allocate memory" in str(error) or "out of memory" in str(error)
    )


def _advance_stack(runs: list[Run], first: int, last: int) -> list[Run]:
    regressor = runs[0].fit.regressor
    batch_size = runs[0].problem.batch_size
    stack = SirenStack.join([run.stack for run in runs])
    optimizer = regressor._adam(stack, "adam", AdamState.join([run.state for run in runs]))
    peak = max(run.rate for run in runs)
    generators = [torch.Generator().set_state(run.generator_state) for run in runs]
    optimizer.slow_down(stack.parameters.new_tensor([run.rate / peak for run in runs]))
    with Interruption() as interruption:
        history = train(
            stack,
            TrainingRows.join([run.problem.copied_rows for run in runs], batch_size),
            Objective(stack, regressor.loss, [run.fit.regressor.alpha for run in runs]),
            optimizer,
            learning_rates(regressor.learning_rate, peak, regressor.max_iter)[first:last],
            batch_size=batch_size,
            generators=generators,
            monitor=Monitor(interruption=interruption),
        )
    return [
        run._replace(
            stack=stack.take(k),
            state=optimizer.state.take(k),
            generator_state=generators[k].get_state(),
            history=run.history.extend(history.take(k)),
        )
        for k, run in enumerate(runs)
    ]
