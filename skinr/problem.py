"""What comes before the first update of a fit: rows, units and networks, as parameters ask."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.utils import assert_all_finite, check_random_state
from sklearn.utils.validation import _check_sample_weight, validate_data

from skinr.choices import (
    Survey,
    choose_batch_size,
    choose_frequencies,
    choose_solver,
    choose_weight_scale,
    head_start,
    layer_sizes,
    may_begin_with_few,
    peak_rate,
    term_weights,
    visits_to_pixels,
)
from skinr.device import resolve_device
from skinr.ensemble import members_of, to_stack
from skinr.least_squares import LeastSquaresFit
from skinr.losses import Objective
from skinr.lower_frequencies import neighbours
from skinr.network import Architecture, SirenStack
from skinr.rows import Table, TrainingRows
from skinr.scaling import AffineMap, Units
from skinr.splits import hold_out, leave_out, to_rows, training_rows
from skinr.stored_rows import Rows
from skinr.targets import (
    Layout,
    check_targets,
    collect_targets,
    jet_problem,
    require_real,
    units_of_derivatives,
    with_implied_values,
)

if TYPE_CHECKING:
    from skinr.regressor import SirenRegressor

ROUNDING = 1e-6
"""By which float32 and float64 of a number may differ, over the number."""

MOST_PARAMETERS = 2**31
"""Of a network: 8 GB in float32, and training takes five times as much."""

Values = NDArray[np.floating[Any]]


class Problem(NamedTuple):
    """A fit that is ready for its first update.

    Parameters
    ----------
    table : Table
        All rows.
    layout : Layout
    units : Units
    relevances : ndarray of shape (n_features,) or 1
        By which the ranges of slow features are narrower in `units`.
    solver : {"adam", "lm", "soap"}
    stack : SirenStack
        Of the members of the ensemble or the one network; for least squares, for each member of
        those from which they choose one.
    candidates : SirenStack or None
        Networks for least squares, where a few rows may explain the table.
    rows : TrainingRows or StoredRows
        `training` as tensors, or where it is.
    held_out : TrainingRows or None
        The rows that `early_stopping` holds out.
    unseen : TrainingRows or None
        Values of rows that members are not fitted to, in the units of `units.y`: a set that none
        of them is, or one for each pair.
    objective : Objective
    rate : float
        The highest learning rate.
    batch_size : int
        The most rows of an update.
    generators : list of torch.Generator
        Of each member: draws the order of the rows.
    continued : bool
        Whether networks have been fitted before.
    takes_rounds : bool
        Whether the Huber loss is minimised by least squares, in several fits.
    """

    table: Table
    layout: Layout
    units: Units
    relevances: NDArray[np.float64] | float
    solver: str
    stack: SirenStack
    candidates: SirenStack | None
    rows: Rows
    held_out: TrainingRows | None
    unseen: TrainingRows | None
    objective: Objective
    rate: float
    batch_size: int
    generators: list[torch.Generator]
    continued: bool
    takes_rounds: bool

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
    table, layout = _validate_rows(
        regressor, X, y, sample_weight, gradient, laplacian, continued=continued
    )
    if layout.has_derivatives and not is_piece:
        table, layout = with_implied_values(table, layout)
    is_next_piece = is_piece and continued
    survey = Survey(table, layout) if is_next_piece else Survey.of(regressor, table, layout)
    if is_piece:
        survey = survey._replace(relevances=1.0)
    if continued:
        units = regressor._units._replace(
            single_target=layout.single_target, y_dtype=_dtype_of_predictions(table)
        )
        _warn_of_constants(units, layout.values_of(table))
    else:
        units = _new_units(regressor, survey)
    return _pose(regressor, survey, units, continued=continued, is_piece=is_piece)


def with_values(regressor: SirenRegressor, problem: Problem, values: NDArray[Any]) -> Problem:
    """Return a problem of the same rows with other values, in units of those unless continued."""
    survey = Survey.of(regressor, problem.table._replace(y=values), problem.layout)
    units = problem.units
    if not problem.continued:
        units = _new_units(regressor, survey)._replace(y_dtype=units.y_dtype)
    return _pose(regressor, survey, units, continued=problem.continued, is_piece=False)


def _pose(
    regressor: SirenRegressor,
    survey: Survey,
    units: Units,
    *,
    continued: bool,
    is_piece: bool,
) -> Problem:
    """Draw the networks, and say how they are fitted."""
    table, layout = survey.table, survey.layout
    random = check_random_state(regressor.random_state)
    seeds = [int(random.randint(2**31 - 1)) for _ in range(regressor.n_estimators)]
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    solver = choose_solver(regressor, survey, is_piece=is_piece)
    n_visits = visits_to_pixels(regressor, survey, solver, is_piece=is_piece)
    if continued:
        stack = _take_up(regressor, layout, solver)
    else:
        stack = _draw_networks(regressor, survey, generators, solver, n_visits)
    candidates = None
    if not continued and may_begin_with_few(regressor, survey, solver):
        again = [torch.Generator().manual_seed(seed) for seed in seeds]
        candidates = _draw_networks(regressor, survey, again, "lm", n_visits)
    training, validation = table, None
    if regressor.early_stopping and not is_piece:
        training, validation = hold_out(regressor, table, random)
    takes_rounds = regressor.loss == "huber" and (solver == "lm" or candidates is not None)
    loss = "squared_error" if takes_rounds else regressor.loss
    scaling, objective = _objective(regressor, table, layout, units, stack, loss)
    rows: Rows
    if solver == "lm" or len(generators) == 1:
        rows, unseen = training_rows(training, layout, units, scaling, stack), None
    else:
        copied = to_rows(training, units.X, scaling, stack)
        rows, unseen = leave_out(copied, training, validation, layout, units, stack, random)
    return Problem(
        table=table,
        layout=layout,
        units=units,
        relevances=1.0 if continued else survey.relevances,
        solver=solver,
        stack=stack,
        candidates=candidates,
        rows=rows,
        held_out=None if validation is None else to_rows(validation, units.X, scaling, stack),
        unseen=unseen,
        objective=objective,
        rate=peak_rate(regressor, stack, layout, solver, n_visits=n_visits),
        batch_size=choose_batch_size(regressor, training, is_piece=is_piece),
        generators=generators,
        continued=continued,
        takes_rounds=takes_rounds,
    )


def narrowed(problem: Problem, chosen: SirenStack) -> Problem:
    """Return a problem for the networks next in frequency to one that was chosen before."""
    if problem.candidates is None:
        return problem._replace(stack=neighbours(problem.stack, chosen.omega_0[0]))
    return problem._replace(candidates=neighbours(problem.candidates, chosen.omega_0[0]))


def refined(regressor: SirenRegressor, problem: Problem, few: Sequence[LeastSquaresFit]) -> Problem:
    """Return a problem that goes on from fits to a few rows, and minimises what they do.

    Of the first network alone, where there are no fits of the others.
    """
    n_rows, present = problem.rows.n_rows, problem.stack.parameters
    stack = SirenStack.join([fit.stack for fit in few]).to(present.device, present.dtype)
    anchor = torch.cat([fit.anchor for fit in few]).to(present.device, present.dtype)
    rate = peak_rate(regressor, stack, problem.layout, problem.solver, n_rows=n_rows)
    alphas = [2 * fit.noise_of(n_rows * problem.layout.n_outputs) for fit in few]
    objective = Objective(stack, "squared_error", alphas, anchor)
    problem = problem._replace(stack=stack, objective=objective, rate=rate)
    if len(few) == len(problem.generators):
        return problem
    rows = problem.copied_rows.of_network(0)
    return problem._replace(rows=rows, unseen=None, generators=problem.generators[:1])


def _validate_rows(
    regressor: SirenRegressor,
    X: ArrayLike,
    y: ArrayLike | None,
    sample_weight: ArrayLike | None,
    gradient: ArrayLike | None,
    laplacian: ArrayLike | None,
    *,
    continued: bool,
) -> tuple[Table, Layout]:
    values_alone = gradient is None and laplacian is None
    if values_alone:
        coordinates, targets, layout = _validate_values(regressor, X, y, continued=continued)
    else:
        coordinates = validate_data(
            regressor, X, dtype=[np.float64, np.float32], reset=not continued
        )
    weight = None
    if sample_weight is not None:
        weight = _check_sample_weight(sample_weight, coordinates, dtype=np.float64)
        if (weight < 0).any() or not weight.any():
            raise ValueError(
                "sample_weight must be non-negative with at least one positive weight; its "
                f"smallest entry is {weight.min()}, its largest {weight.max()}."
            )
    if not values_alone:
        counts = None if weight is None else weight > 0
        targets, layout = collect_targets(coordinates.shape, y, gradient, laplacian, counts)
    table = Table.canonical(coordinates, targets, weight)
    if not values_alone:
        check_targets(table, layout, term_weights(regressor))
    return table, layout


def _validate_values(
    regressor: SirenRegressor, X: ArrayLike, y: ArrayLike | None, *, continued: bool
) -> tuple[Values, Values, Layout]:
    coordinates, values = validate_data(
        regressor,
        X,
        y,
        dtype=[np.float64, np.float32],
        multi_output=True,
        y_numeric=True,
        reset=not continued,
    )
    if issparse(values):
        raise TypeError("y is sparse; a dense array is accepted, as y.toarray() gives.")
    require_real("y", values)
    if getattr(y, "dtype", np.object_) == np.object_:  # of which validate_data lets None through
        assert_all_finite(values, input_name="y")
    if values.dtype == np.longdouble:
        values = values.astype(np.float64)
    targets = values.reshape(len(values), -1)
    layout = Layout(("values",), coordinates.shape[1], targets.shape[1], values.ndim == 1)
    return coordinates, targets, layout


def _new_units(regressor: SirenRegressor, survey: Survey) -> Units:
    table, layout = survey.table, survey.layout
    X = AffineMap.identity(layout.n_features)
    if regressor.normalize_X:
        usual = AffineMap.from_usual_range(table.X)
        X = usual._replace(scale=usual.scale / survey.relevances)
    if not regressor.normalize_y:
        y = AffineMap.identity(layout.n_outputs)
    elif layout.has_derivatives:
        ((omega_0, _),) = choose_frequencies(regressor, Survey(table, layout), "adam")
        y = units_of_derivatives(table, layout, X, omega_0)
    else:
        y = AffineMap.from_moments(table.y, table.weight)
    return Units(X, y, layout.single_target, _dtype_of_predictions(table))


def _dtype_of_predictions(table: Table) -> type:
    return np.float32 if table.y.dtype == np.float32 else np.float64


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
    regressor: SirenRegressor,
    table: Table,
    layout: Layout,
    units: Units,
    stack: SirenStack,
    loss: str,
) -> tuple[AffineMap, Objective]:
    """Return how the columns of the targets are normalised, and what is minimised."""
    if not layout.has_derivatives:
        return units.y, Objective(stack, loss, regressor.alpha)
    return jet_problem(
        table,
        layout,
        units,
        stack,
        loss=loss,
        alpha=regressor.alpha,
        weights=term_weights(regressor),
    )


def _draw_networks(
    regressor: SirenRegressor,
    survey: Survey,
    generators: list[torch.Generator],
    solver: str,
    n_visits: float,
) -> SirenStack:
    """Draw networks of the shape that parameters and table ask for."""
    architecture = _architecture(regressor, survey.layout)
    start = head_start(regressor, solver, n_visits)
    is_crowded = len(survey.table.X) > architecture.n_parameters
    frequencies = choose_frequencies(regressor, survey, solver, start)
    device, dtype = _device_and_dtype(regressor, solver)
    draws = []
    for generator in generators:
        state = generator.get_state()
        draws += [generator, *(torch.Generator().set_state(state) for _ in frequencies[1:])]
    return SirenStack.initialize(
        architecture,
        [first for first, _ in frequencies] * len(generators),
        [hidden for _, hidden in frequencies] * len(generators),
        draws,
        first_layer_init=regressor.first_layer_init,
        weight_scale=choose_weight_scale(regressor, start, n_visits, is_crowded=is_crowded),
        device=device,
        dtype=dtype,
    )


def _take_up(regressor: SirenRegressor, layout: Layout, solver: str) -> SirenStack:
    """Take up the fitted network, if parameters and table still ask for its shape."""
    _check_same_network(regressor, _architecture(regressor, layout))
    device, dtype = _device_and_dtype(regressor, solver)
    return to_stack(regressor.network_).to(device, dtype)


def _architecture(regressor: SirenRegressor, layout: Layout) -> Architecture:
    architecture = Architecture(
        layout.n_features, layer_sizes(regressor), layout.n_outputs, regressor.output_activation
    )
    if architecture.n_parameters > MOST_PARAMETERS:
        raise ValueError(
            f"hidden_layer_sizes={regressor.hidden_layer_sizes!r} makes "
            f"{architecture.n_parameters} weights; at most {MOST_PARAMETERS} are accepted."
        )
    return architecture


def _device_and_dtype(regressor: SirenRegressor, solver: str) -> tuple[torch.device, torch.dtype]:
    device = resolve_device(regressor.device)
    return (torch.device("cpu"), torch.float64) if solver == "lm" else (device, torch.float32)


def _check_same_network(regressor: SirenRegressor, architecture: Architecture) -> None:
    fitted = regressor.network_
    omega_0, hidden_omega_0 = fitted.omega_0, fitted.hidden_omega_0
    if regressor.omega_0 != "auto":
        omega_0 = hidden_omega_0 = float(regressor.omega_0)
    if regressor.hidden_omega_0 is not None:
        hidden_omega_0 = float(regressor.hidden_omega_0)
    changes = {
        "architecture": (fitted.architecture, architecture),
        "omega_0": (fitted.omega_0, omega_0),
        "hidden_omega_0": (fitted.hidden_omega_0, hidden_omega_0),
        "number of members, fewer than were asked for if it was interrupted,": (
            len(members_of(fitted)),
            regressor.n_estimators,
        ),
    }
    differing = [
        f"its {name} is {has}, and data and parameters now ask for {asked}"
        for name, (has, asked) in changes.items()
        if has != asked
    ]
    if differing:
        raise ValueError(
            "Going on from a fitted network keeps its shape, frequencies and members: "
            f"{'; '.join(differing)}. Set warm_start=False, or clone the estimator, to start anew."
        )
