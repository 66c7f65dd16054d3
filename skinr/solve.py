"""Fits of what `problem` has prepared: whole ones, and passes through a piece of a stream."""

from __future__ import annotations

import warnings
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from skinr.checkpoint import checkpoint_of
from skinr.choices import peak_rate
from skinr.descent import Descent
from skinr.device import resolve_device
from skinr.eigenbasis import Eigenbasis
from skinr.ensemble import mean_of_members
from skinr.error_bars import noise_of_stream, noise_of_unseen
from skinr.few_rows import begin_with_few
from skinr.history import History
from skinr.interruption import Interruption, note_interruption
from skinr.jet_rows import JetRows
from skinr.least_squares import LeastSquaresFit
from skinr.lower_frequencies import neighbours
from skinr.network import SirenStack
from skinr.objectives import Objective
from skinr.optimizers import Adam, AdamState, learning_rates
from skinr.passes import evaluate
from skinr.posterior import fit_posterior
from skinr.problem import Problem, with_values
from skinr.progress import progress_bar
from skinr.robust import MOST_ROUNDS, clipped_residuals, has_settled
from skinr.rows import to_tensor
from skinr.scaling import Units, quotient
from skinr.targets import constant_from_rows
from skinr.training import EarlyStopping, Monitor, train

if TYPE_CHECKING:
    from skinr.regressor import SirenRegressor


class Solution(NamedTuple):
    """What a fit has come to.

    Parameters
    ----------
    stack : SirenStack
        Of the fitted networks.
    units : Units
    history : History
    noise : ndarray of shape (n_outputs,) or None, default=None
        Standard deviation of the noise in units of y, where an ensemble shows it.
    """

    stack: SirenStack
    units: Units
    history: History
    noise: NDArray[np.float64] | None = None

    @classmethod
    def of(
        cls,
        problem: Problem,
        stack: SirenStack,
        history: History,
        noise: NDArray[np.float64] | None = None,
    ) -> Solution:
        """Return what a fit has come to, with the range of every feature from -1 to 1 again."""
        units = problem.units
        if np.all(np.equal(problem.relevances, 1)):
            return cls(stack, units, history, noise)
        X = units.X._replace(scale=units.X.scale * problem.relevances)
        scaled = stack.with_scaled_features(problem.relevances)
        return cls(scaled, units._replace(X=X), history, noise)


def solve(regressor: SirenRegressor, problem: Problem, interruption: Interruption) -> Solution:
    """Fit a problem by the solver that it is for."""
    max_iter = None if problem.plan.solver == "lm" else regressor.max_iter
    with progress_bar(max_iter, bool(regressor.verbose)) as progress:
        fit = _by_rounds if problem.plan.takes_rounds else _once
        solution = fit(regressor, problem, Monitor(interruption, progress))
    return _with_constant(solution, problem) if problem.layout.has_derivatives else solution


def go_through(
    regressor: SirenRegressor,
    piece: Problem,
    state: AdamState | None,
    earlier_noise: NDArray[np.float64] | None,
    interruption: Interruption,
) -> tuple[Solution, AdamState]:
    """Go once through a piece of a stream, and return the state of the optimiser, too.

    Parameters
    ----------
    regressor : SirenRegressor
    piece : Problem
    state : AdamState or None
        That after the piece before.
    earlier_noise : ndarray of shape (n_outputs,) or None
        The noise that the pieces before have shown.
    interruption : Interruption
    """
    optimizer = make_optimizer(regressor, piece.stack, piece.plan.solver, state)
    history = train(
        piece.rows,
        piece.objective,
        optimizer,
        [piece.rate] * ceil(piece.rows.n_rows / piece.batch_size),
        batch_size=piece.batch_size,
        generators=piece.generators,
        monitor=Monitor(interruption),
    )
    noise = _noise_of(piece, earlier_noise)
    return Solution(piece.stack, piece.units, history, noise), optimizer.state


def make_optimizer(
    regressor: SirenRegressor, stack: SirenStack, solver: str, state: AdamState | None = None
) -> Adam:
    """Return Adam, in the eigenbasis of the gradients' covariances for "soap"."""
    basis = Eigenbasis(stack) if solver == "soap" else None
    return Adam(stack, beta_1=regressor.beta_1, beta_2=regressor.beta_2, basis=basis, state=state)


def warn_of(history: History, rate: float, *, stacklevel: int) -> None:
    """Warn of a divergence or an interruption.

    Parameters
    ----------
    history : History
    rate : float
        The highest learning rate.
    stacklevel : int
        As of `warnings.warn`, called from where this is.
    """
    if history.interruption:
        note_interruption()
        warnings.warn(
            f"The fit ended after {len(history.losses)} updates, by {history.interruption}, and "
            "keeps what it has learned.",
            ConvergenceWarning,
            stacklevel=stacklevel + 1,
        )
    n_step_backs = int(history.n_step_backs.sum())
    if n_step_backs:
        warnings.warn(
            f"Training diverged {n_step_backs} times at a learning rate of up to {rate:.3g} and "
            "went on from its last good state at a tenth of the rate each time. Set a lower "
            "learning_rate_init.",
            ConvergenceWarning,
            stacklevel=stacklevel + 1,
        )


def _once(regressor: SirenRegressor, problem: Problem, monitor: Monitor) -> Solution:
    by_solver = _by_least_squares if problem.plan.solver == "lm" else _by_batches
    return by_solver(regressor, problem, monitor)


def _by_rounds(regressor: SirenRegressor, problem: Problem, monitor: Monitor) -> Solution:
    """Minimise Huber's loss by least squares.

    Where values are what is predicted of them plus the clipped residual, least squares have the
    derivative that Huber's loss of the given values has there ([1], section 7.8, "modified
    residuals"): a network that is fitted to such values and predicts them again minimises it. After
    the first fit only the networks next in frequency to the last one take part.

    .. [1] Huber, Ronchetti. Robust Statistics. 2nd edition, Wiley, 2009.
    """
    table, expected, solution = problem.table, problem.medians, None
    assert expected is not None
    for _ in range(MOST_ROUNDS):
        clipped = clipped_residuals(table, expected)
        if solution:
            problem = with_values(regressor, problem, expected + clipped)
            problem = _narrowed(problem, solution.stack)
        latest = _once(regressor, problem, monitor)
        ended_by = monitor.interruption.ended_by
        if ended_by and solution:
            history = solution.history._replace(interruption=ended_by)
            return solution._replace(history=history)
        solution, before, expected = latest, expected, _predictions(latest, table.X)
        if ended_by or has_settled(before, expected, clipped):
            break
    assert solution is not None
    return solution


def _narrowed(problem: Problem, chosen: SirenStack) -> Problem:
    """Return a problem for the networks next in frequency to one that was chosen before."""
    if problem.candidates is not None:
        return problem._replace(candidates=neighbours(problem.candidates, chosen.omega_0[0]))
    near = neighbours(problem.stack, chosen.omega_0[0])
    return problem._replace(objective=Objective(near, "squared_error", 0.0))


def _by_least_squares(regressor: SirenRegressor, problem: Problem, monitor: Monitor) -> Solution:
    fitted, history, noise = fit_posterior(
        problem.stack,
        _stages(problem),
        Descent(regressor.max_iter, monitor.interruption, monitor.progress),
        problem.generators,
        continued=problem.plan.continued,
    )
    stack = fitted.to(resolve_device(regressor.device), torch.float32)
    noise = None if noise is None else noise * problem.units.y.scale
    return Solution.of(problem, stack, history, noise)


def _stages(problem: Problem) -> list[JetRows]:
    """Return what least squares fit: values that a Laplacian implies, then what is known alone."""
    rows, stages = problem.copied_rows, []
    if rows.implied is not None and rows.implied.any() and "gradient" not in problem.layout.kinds:
        stages.append(problem.objective.jet_rows(rows))
    stages.append(problem.objective.jet_rows(rows.without_implied()))
    return [stage.without_empty() for stage in stages]


def _by_batches(regressor: SirenRegressor, problem: Problem, monitor: Monitor) -> Solution:
    checkpoint = checkpoint_of(regressor, problem)
    if problem.candidates is not None:
        problem = _begin(regressor, problem, problem.candidates, monitor.interruption)
        if monitor.interruption.ended_by:
            checkpoint = None  # it would go on from another beginning
    history = train(
        problem.rows,
        problem.objective,
        make_optimizer(regressor, problem.stack, problem.plan.solver),
        learning_rates(regressor.learning_rate, problem.rate, regressor.max_iter),
        batch_size=problem.batch_size,
        generators=problem.generators,
        monitor=monitor._replace(
            stopping=_early_stopping(regressor, problem), checkpoint=checkpoint
        ),
    )
    return Solution.of(problem, problem.stack, history, _noise_of(problem))


def _begin(
    regressor: SirenRegressor,
    problem: Problem,
    candidates: SirenStack,
    interruption: Interruption,
) -> Problem:
    """Begin with a few rows, where they explain the table."""
    rows, n_members = problem.copied_rows, len(problem.stack)
    tables = (problem.objective.jet_rows(rows.of_network(k)) for k in range(n_members))
    descent = Descent(regressor.max_iter, interruption)
    few = begin_with_few(candidates, n_members, tables, descent)
    return _refined(regressor, problem, few) if few else problem


def _refined(regressor: SirenRegressor, problem: Problem, few: list[LeastSquaresFit]) -> Problem:
    """Return a problem that goes on from fits to a few rows, and minimises what they do.

    Of the first network alone, where there are no fits of the others.
    """
    n_rows, present = problem.rows.n_rows, problem.stack.parameters
    stack = SirenStack.join([fit.stack for fit in few]).to(present.device, present.dtype)
    anchor = torch.cat([fit.anchor for fit in few]).to(present.device, present.dtype)
    rate = peak_rate(regressor, stack, problem.layout, problem.plan.solver, n_rows=n_rows)
    alphas = [2 * fit.noise_of(n_rows * problem.layout.n_outputs) for fit in few]
    objective = Objective(stack, "squared_error", alphas, anchor)
    problem = problem._replace(objective=objective, rate=rate)
    if len(few) == len(problem.generators):
        return problem
    rows = problem.copied_rows.of_network(0)
    return problem._replace(rows=rows, unseen=None, generators=problem.generators[:1])


def _early_stopping(regressor: SirenRegressor, problem: Problem) -> EarlyStopping | None:
    if problem.held_out is None:
        return None
    return EarlyStopping(
        problem.held_out,
        problem.objective,
        n_iter_no_change=regressor.n_iter_no_change,
        tol=regressor.tol,
        batch_size=min(problem.batch_size, problem.rows.n_rows),
        max_iter=regressor.max_iter,
    )


def _noise_of(
    problem: Problem, earlier: NDArray[np.float64] | None = None
) -> NDArray[np.float64] | None:
    """Return the noise of the values, where there is an ensemble that shows it.

    `earlier` is what pieces of a stream have shown before.
    """
    if len(problem.stack) == 1:
        return None
    if problem.unseen is None:
        return np.zeros(problem.layout.n_outputs) if earlier is None else earlier
    scale = problem.units.y.scale
    if earlier is None:
        return noise_of_unseen(problem.stack, problem.unseen) * scale
    return noise_of_stream(quotient(earlier, scale), problem.stack, problem.unseen) * scale


def _with_constant(solution: Solution, problem: Problem) -> Solution:
    """Shift the values by what derivatives leave open."""
    units, table = solution.units, problem.table
    constant = constant_from_rows(_predictions(solution, table.X), table, problem.layout)
    shifted = units.y._replace(center=units.y.center + constant)
    return solution._replace(units=units._replace(y=shifted))


def _predictions(solution: Solution, X: NDArray[Any]) -> NDArray[np.float64]:
    units = solution.units
    coordinates = to_tensor(X, units.X, solution.stack.parameters)[None]
    normalized = mean_of_members(evaluate(solution.stack, coordinates))
    return units.y.restore(normalized.cpu().numpy())
