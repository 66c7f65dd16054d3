"""Fits of one shape, trained as one stack."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import chain
from math import ceil
from typing import NamedTuple

import numpy as np
import torch
from sklearn.utils import gen_batches
from torch import Tensor

from skinr.checkpoint import State
from skinr.fits import Fit
from skinr.history import History
from skinr.interruption import Interruption
from skinr.network import SirenStack
from skinr.objectives import Objective
from skinr.optimizers import learning_rates
from skinr.problem import Problem, prepare
from skinr.rows import TrainingRows
from skinr.solve import Solution, make_optimizer
from skinr.stored_rows import StoredRows
from skinr.training import Monitor, train

CACHE_BYTES = 2**24
"""Memory of a stack on a CPU: what stays in its caches, and keeps its threads busy."""

SHARE_OF_MEMORY = 0.8
"""Share of a GPU's free memory that a stack may take."""

N_COPIES = 16
"""Tensors of the size of the parameters that training keeps."""


class Run(NamedTuple):
    """A fit on its way.

    Parameters
    ----------
    fit : Fit
    problem : Problem
    stack : SirenStack
        Its network, as a stack of one.
    state : dict of str to Tensor of shape (1, ...)
        What its training goes on from, by the names that a checkpoint has. The step size is that
        at a learning rate of `problem.rate`.
    history : History
    """

    fit: Fit
    problem: Problem
    stack: SirenStack
    state: dict[str, Tensor]
    history: History

    @classmethod
    def begin(cls, fit: Fit) -> Run:
        """Validate and prepare a fit."""
        fit.regressor._validate_params()
        problem = prepare(fit.regressor, **fit.arguments, continued=False)
        state = {"step_size": problem.stack.frequencies}
        history = History(np.empty((0, 1)), None, np.zeros(1), None)
        return cls(fit, problem, problem.stack, state, history)

    @property
    def goes_alone(self) -> bool:
        """Whether it is not for a stack: by its parameters, its solver or the size of its table."""
        problem = self.problem
        is_large = isinstance(problem.rows, StoredRows)
        return self.fit.goes_alone or problem.plan.solver != "adam" or is_large

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

    def deliver(self) -> None:
        """Make the regressor the one that this run has come to."""
        self.fit.regressor._finish(Solution.of(self.problem, self.stack, self.history))


def advance(runs: list[Run], first: int, last: int) -> list[Run]:
    """Do the updates from `first` to `last`, in stacks that suit the memory.

    Those that fail are not among the runs that are returned, and their regressors are not fitted.
    """
    memory = _memory_of_a_stack(runs[0].stack.parameters.device)
    most = max(1, memory // runs[0].n_bytes)
    parts = gen_batches(len(runs), ceil(len(runs) / ceil(len(runs) / most)))
    return list(chain(*(_advance_or_halve(runs[part], first, last) for part in parts)))


def _memory_of_a_stack(device: torch.device) -> int:
    if device.type != "cuda":
        return CACHE_BYTES
    free, _ = torch.cuda.mem_get_info(device)
    return int(SHARE_OF_MEMORY * free)


def _advance_or_halve(runs: list[Run], first: int, last: int) -> list[Run]:
    """Do updates as one stack, or as two where that fails, as where the memory does not suffice."""
    if len(runs) == 1:
        with runs[0].fit.attempt():
            return _advance_stack(runs, first, last)
        return []
    try:
        return _advance_stack(runs, first, last)
    except Exception:
        middle = len(runs) // 2
    return [
        *_advance_or_halve(runs[:middle], first, last),
        *_advance_or_halve(runs[middle:], first, last),
    ]


def _advance_stack(runs: list[Run], first: int, last: int) -> list[Run]:
    regressor = runs[0].fit.regressor
    batch_size = runs[0].problem.batch_size
    stack = SirenStack.join([run.stack for run in runs])
    peak = max(run.problem.rate for run in runs)
    shares = stack.parameters.new_tensor([[run.problem.rate / peak] for run in runs])
    keeper = _StateKeeper([run.state for run in runs], shares, first)
    with Interruption() as interruption:
        history = train(
            TrainingRows.join([run.problem.copied_rows for run in runs], batch_size),
            Objective(stack, regressor.loss, [run.fit.regressor.alpha for run in runs]),
            make_optimizer(regressor, stack, "adam"),
            learning_rates(regressor.learning_rate, peak, regressor.max_iter)[:last],
            batch_size=batch_size,
            generators=[run.problem.generators[0].clone_state() for run in runs],
            monitor=Monitor(interruption, checkpoint=keeper),
        )
    history.losses[:first] = np.hstack([run.history.losses for run in runs])
    return [
        run._replace(stack=stack.take(k), state=keeper.states[k], history=history.take(k))
        for k, run in enumerate(runs)
    ]


class _StateKeeper:
    """Has a stack go on from the states of its runs, and takes them up after the last update.

    Parameters
    ----------
    states : list of K dict
    shares : Tensor of shape (K, 1)
        The learning rate of each run over that of the stack.
    n_iter : int
        Updates that the states have behind them.
    """

    def __init__(self, states: list[dict[str, Tensor]], shares: Tensor, n_iter: int) -> None:
        self.states = states
        self._shares = shares
        self._n_iter = n_iter

    def restore(self, state: State) -> int:
        for name in self.states[0]:
            state[name].copy_(torch.cat([own[name] for own in self.states]))
        state["step_size"].mul_(self._shares)
        return self._n_iter

    def is_due(self) -> bool:
        return False

    def write(self, n_iter: int, state: State) -> None:
        parts = {name: part.clone() for name, part in state.items() if name != "losses"}
        parts["step_size"] /= self._shares
        self.states = [
            {name: part[k : k + 1] for name, part in parts.items()}
            for k in range(len(self._shares))
        ]
