"""What comes before the first update of a fit: rows, units and networks, as parameters ask."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from skinr.choices import (
    choose_batch_size,
    choose_frequencies,
    epochs_over_pixels,
    peak_rate,
)
from skinr.first_networks import architecture_of, draw_networks, take_up
from skinr.layout import Layout, term_weights
from skinr.network import SirenStack
from skinr.objectives import Objective
from skinr.robust import clipped_residuals, local_medians
from skinr.rows import Table, TrainingRows
from skinr.scaling import AffineMap, Units
from skinr.solver_choice import choose_solver, goes_by_values, may_begin_with_few
from skinr.splits import fitted_rows, hold_out
from skinr.stored_rows import Rows
from skinr.survey import Survey
from skinr.targets import jet_problem, units_of_derivatives, with_implied_values
from skinr.validation import validate_rows

if TYPE_CHECKING:
    from skinr.regressor import SirenRegressor

ROUNDING = 1e-6
"""By which float32 and float64 of a number may differ, over the number."""

LARGEST_SEED = 2**31 - 1


class Plan(NamedTuple):
    """How a table is fitted.

    Parameters
    ----------
    solver : {"adam", "lm", "soap"}
    begins_with_few : bool
        Whether least squares on a few rows come first.
    takes_rounds : bool
        Whether the Huber loss is minimised by least squares, in several fits.
    continued : bool
        Whether networks have been fitted before.
    is_piece : bool
        Whether it is a piece of a stream.
    seeds : list of int
        Of each member.
    split_seed : int
        Of what is held out.
    """

    solver: str
    begins_with_few: bool
    takes_rounds: bool
    continued: bool
    is_piece: bool
    seeds: list[int]
    split_seed: int


class Problem(NamedTuple):
    """A fit that is ready for its first update.

    Parameters
    ----------
    plan : Plan
    table : Table
        All rows, as they were given.
    layout : Layout
    units : Units
    relevances : ndarray of shape (n_features,) or 1
        By which the ranges of slow features are narrower in `units`.
    objective : Objective
        Of the members of the ensemble or the one network; for least squares, for each member of
        those from which they choose one.
    candidates : SirenStack or None
        Networks for least squares, where a few rows may explain the table.
    rows : TrainingRows or StoredRows
        Those that are fitted, as tensors, or where they are.
    held_out : TrainingRows or None
        The rows that `early_stopping` holds out.
    unseen : TrainingRows or None
        Values of rows that members are not fitted to, in the units of `units.y`: a set that none
        of them is, or one for each pair.
    rate : float
        The highest learning rate.
    batch_size : int
        The most rows of an update.
    generators : list of torch.Generator
        Of each member: draws the order of the rows.
    medians : ndarray of shape (n_rows, n_outputs) or None
        Those of neighbours, which outliers are drawn to at first.
    """

    plan: Plan
    table: Table
    layout: Layout
    units: Units
    relevances: NDArray[np.float64] | float
    objective: Objective
    candidates: SirenStack | None
    rows: Rows
    held_out: TrainingRows | None
    unseen: TrainingRows | None
    rate: float
    batch_size: int
    generators: list[torch.Generator]
    medians: NDArray[Any] | None = None

    @property
    def stack(self) -> SirenStack:
        """The networks of the objective."""
        return self.objective.stack

    @property
    def copied_rows(self) -> TrainingRows:
        """`rows` of a table that is not too large to be copied."""
        assert isinstance(self.rows, TrainingRows)
        return self.rows


def prepare(
    regressor: SirenRegressor,
    X: ArrayLike,
    y: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    gradient: ArrayLike | None = None,
    laplacian: ArrayLike | None = None,
    *,
    continued: bool,
    is_piece: bool = False,
) -> Problem:
    """Validate what is to be fitted, and draw the networks.

    Parameters
    ----------
    regressor : SirenRegressor
        Its parameters; of its attributes only those that validation sets are changed.
    X, y, sample_weight, gradient, laplacian : array-like
        As `fit` takes them.
    continued : bool
        Whether to go on from the fitted network, in its units.
    is_piece : bool, default=False
        Whether it is a piece of a stream: for Adam, with no row held out, and no value implied by
        derivatives.

    Returns
    -------
    problem : Problem

    Raises
    ------
    ValueError, TypeError
        As `fit` does for unusable input.
    """
    table, layout = validate_rows(
        regressor, X, y, sample_weight, gradient, laplacian, continued=continued
    )
    if layout.has_derivatives and not is_piece:
        table, layout = with_implied_values(table, layout)
    medians = None
    if is_piece:
        survey = Survey(table, layout) if continued else Survey.of_piece(regressor, table, layout)
    else:
        medians = _medians(regressor, table, layout)
        survey = Survey.of(regressor, _without_outliers(table, medians), layout)
    plan = _plan(regressor, survey, continued=continued, is_piece=is_piece)
    if not plan.takes_rounds:
        survey = survey._replace(table=table)
    units = regressor._units if continued else _new_units(regressor, survey)
    y_dtype = np.float32 if table.y.dtype == np.float32 else np.float64
    units = units._replace(single_target=layout.single_target, y_dtype=y_dtype)
    if continued:
        _warn_of_constants(units, layout.values_of(table))
    return _pose(regressor, survey, units, plan)._replace(table=table, medians=medians)


def with_values(regressor: SirenRegressor, problem: Problem, values: NDArray[Any]) -> Problem:
    """Return a problem of the same rows with other values, in units of those unless continued."""
    survey = Survey.of(regressor, problem.table._replace(y=values), problem.layout)
    units = problem.units
    if not problem.plan.continued:
        units = _new_units(regressor, survey)._replace(y_dtype=units.y_dtype)
    return _pose(regressor, survey, units, problem.plan)._replace(table=problem.table)


def _medians(regressor: SirenRegressor, table: Table, layout: Layout) -> NDArray[Any] | None:
    """Return what is expected of each row before a robust fit, where the fit is to go by values."""
    is_robust = regressor.loss == "huber" and not layout.has_derivatives
    return local_medians(table) if is_robust and goes_by_values(regressor, table) else None


def _without_outliers(table: Table, medians: NDArray[Any] | None) -> Table:
    """Return a table that shows what is to be fitted: outliers hide how fast values change."""
    if medians is None:
        return table
    return table._replace(y=medians + clipped_residuals(table, medians))


def _plan(regressor: SirenRegressor, survey: Survey, *, continued: bool, is_piece: bool) -> Plan:
    solver = choose_solver(regressor, survey, is_piece=is_piece)
    begins_with_few = not continued and may_begin_with_few(regressor, survey, solver)
    random = check_random_state(regressor.random_state)
    return Plan(
        solver=solver,
        begins_with_few=begins_with_few,
        takes_rounds=regressor.loss == "huber" and (solver == "lm" or begins_with_few),
        continued=continued,
        is_piece=is_piece,
        seeds=[int(random.randint(LARGEST_SEED)) for _ in range(regressor.n_estimators)],
        split_seed=int(random.randint(LARGEST_SEED)),
    )


def _pose(regressor: SirenRegressor, survey: Survey, units: Units, plan: Plan) -> Problem:
    """Draw the networks, and say what they are fitted to."""
    table, layout = survey.table, survey.layout
    n_epochs = epochs_over_pixels(regressor, survey, plan.solver)
    generators = _generators(plan)
    candidates = None
    if plan.continued:
        stack = take_up(regressor, survey, plan.solver)
    else:
        shape = architecture_of(regressor, survey, plan.solver)
        stack = draw_networks(regressor, survey, shape, generators, plan.solver, n_epochs)
        if plan.begins_with_few:
            same = _generators(plan)
            candidates = draw_networks(regressor, survey, shape, same, "lm", n_epochs)
    scaling, objective = _objective(regressor, survey, units, stack, plan)
    training, validation = table, None
    if regressor.early_stopping and not plan.is_piece:
        training, validation = hold_out(regressor, table, plan.split_seed)
    like, n_members = stack.parameters, 1 if plan.solver == "lm" else len(generators)
    rows, unseen = fitted_rows(
        training, validation, layout, units, scaling, like, n_members, plan.split_seed
    )
    held_out = None
    if validation is not None:
        held_out = TrainingRows.from_table(validation, units.X, scaling, like).without_implied()
    return Problem(
        plan=plan,
        table=table,
        layout=layout,
        units=units,
        relevances=1.0 if plan.continued else survey.relevances,
        objective=objective,
        candidates=candidates,
        rows=rows,
        held_out=held_out,
        unseen=unseen,
        rate=peak_rate(regressor, stack, layout, plan.solver, n_epochs=n_epochs),
        batch_size=choose_batch_size(regressor, len(training.X)),
        generators=generators,
    )


def _generators(plan: Plan) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in plan.seeds]


def _new_units(regressor: SirenRegressor, survey: Survey) -> Units:
    table, layout = survey.table, survey.layout
    X = AffineMap.identity(layout.n_features)
    if regressor.normalize_X:
        usual = AffineMap.from_usual_range(table.X)
        X = usual._replace(scale=usual.scale / survey.relevances)
    if not regressor.normalize_y:
        y = AffineMap.identity(layout.n_outputs)
    elif layout.has_derivatives:
        ((omega_0, _),) = choose_frequencies(regressor, survey, "adam")
        y = units_of_derivatives(table, layout, X, omega_0)
    else:
        y = AffineMap.from_moments(table.y, table.weight)
    return Units(X, y, layout.single_target, np.float64)


def _warn_of_constants(units: Units, values: Table) -> None:
    """Warn of what varies now, and did not in the rows that the units are of."""
    for name, columns, unit in (("X", values.X, units.X), ("y", values.y, units.y)):
        constant = np.flatnonzero(unit.scale == 0)
        center = unit.center[constant]
        differs = np.abs(columns[:, constant] - center) > ROUNDING * np.abs(center)
        if differs.any():
            warnings.warn(
                f"{name} was constant in the rows that the network began with, in columns "
                f"{constant[differs.any(axis=0)].tolist()}, and what it is now is ignored: units "
                "are those of the first rows. Begin with rows that vary.",
                stacklevel=5,
            )


def _objective(
    regressor: SirenRegressor, survey: Survey, units: Units, stack: SirenStack, plan: Plan
) -> tuple[AffineMap, Objective]:
    """Return how the columns of the targets are normalised, and what is minimised."""
    loss = "squared_error" if plan.takes_rounds else regressor.loss
    if not survey.layout.has_derivatives:
        return units.y, Objective(stack, loss, regressor.alpha)
    return jet_problem(
        survey.table,
        survey.layout,
        units,
        stack,
        loss=loss,
        alpha=regressor.alpha,
        weights=term_weights(regressor),
    )
