"""Which solver a fit is for."""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING

import numpy as np

from skinr.choices import choose_batch_size
from skinr.first_networks import layer_sizes
from skinr.layout import term_weights
from skinr.most_probable import FEW_ROWS
from skinr.picture_rows import is_on_grid
from skinr.rows import Table
from skinr.stored_rows import is_copied
from skinr.survey import MOST_NUMBERS_FOR_LM, Survey

if TYPE_CHECKING:
    from skinr.regressor import SirenRegressor

MOST_DERIVATIVES_FOR_LM = 500
"""Targets up to which `solver="auto"` solves by least squares where derivatives are among them."""

FEWEST_ROWS_FOR_SOAP = 2048
"""Rows from which `solver="auto"` takes SOAP."""

FEWEST_UPDATES_FOR_SOAP = 1000
"""Updates from which it does: in fewer Adam gets as far, and further with layers of 64 units."""

ROWS_PER_UNIT_FOR_SOAP = 16
"""Rows that an update must have for each unit of the widest layer, inputs and outputs among them,
if SOAP's products are to be few beside those of the batch."""

FEWEST_ROWS_A_PERIOD = 5
"""Rows that a period must have for least squares to find an oscillation."""

MOST_NUMBERS_AT_ALL = 20_000
"""Values and derivatives up to which `solver="lm"` does: beyond, each of its matrices takes over
3 GB."""


def choose_solver(regressor: SirenRegressor, survey: Survey, *, is_piece: bool) -> str:
    """Return "lm", "adam" or "soap".

    Raises
    ------
    ValueError
        If "lm" is asked for and can't do what else is.
    """
    if is_piece:
        return "soap" if regressor.solver == "soap" else "adam"
    if regressor.solver in ("adam", "soap"):
        return regressor.solver
    obstacles = _obstacles_to_lm(regressor, survey)
    if regressor.solver == "auto":
        if not obstacles and _suits_lm(regressor, survey):
            return "lm"
        return "soap" if _suits_soap(regressor, survey) else "adam"
    if obstacles:
        raise ValueError(
            f"solver='lm' works without {', '.join(obstacles)}; set solver='adam' or 'auto'."
        )
    return "lm"


def _obstacles_to_lm(regressor: SirenRegressor, survey: Survey) -> list[str]:
    table, layout = survey.table, survey.layout
    n_numbers = len(table.X) * layout.n_components * layout.n_outputs
    is_ensemble, is_robust = regressor.n_estimators > 1, regressor.loss == "huber"
    obstacles = {
        "loss='absolute_error'": regressor.loss == "absolute_error",
        "loss='huber' for an ensemble": is_robust and is_ensemble,
        "loss='huber' for derivatives": is_robust and layout.has_derivatives,
        "early_stopping=True": regressor.early_stopping,
        "derivatives for an ensemble": layout.has_derivatives and is_ensemble,
        f"more than {MOST_NUMBERS_AT_ALL} values and derivatives, as {n_numbers} are": (
            n_numbers > MOST_NUMBERS_AT_ALL
        ),
    }
    return [name for name, is_there in obstacles.items() if is_there]


def _suits_lm(regressor: SirenRegressor, survey: Survey) -> bool:
    most = MOST_DERIVATIVES_FOR_LM if survey.layout.has_derivatives else MOST_NUMBERS_FOR_LM
    is_shown = len(survey.table.X) <= FEW_ROWS or _few_rows_show(survey)
    is_small = _count_numbers(regressor, survey) <= most
    return is_small and is_shown and not survey.is_picture and regressor.alpha == 0


def _few_rows_show(survey: Survey) -> bool:
    """Return whether oscillations can be told from noise by the rows of a race."""
    return pi * FEW_ROWS >= FEWEST_ROWS_A_PERIOD * survey.edge


def _count_numbers(regressor: SirenRegressor, survey: Survey) -> int:
    """Return how many targets least squares would fit at once."""
    table, layout = survey.table, survey.layout
    known = ~np.isnan(table.y)
    if table.implied is not None and "gradient" in layout.kinds:
        known &= ~table.implied
    weights = term_weights(regressor)
    return sum(int(known[:, layout.columns(kind)].sum()) for kind in layout.kinds if weights[kind])


def _suits_soap(regressor: SirenRegressor, survey: Survey) -> bool:
    table, layout = survey.table, survey.layout
    n_rows = min(len(table.X), choose_batch_size(regressor, len(table.X)))
    hidden = layer_sizes(regressor, survey, "soap")
    widest = max(layout.n_features, layout.n_outputs, *hidden)
    return (
        not layout.has_derivatives
        and regressor.max_iter >= FEWEST_UPDATES_FOR_SOAP
        and len(table.X) >= FEWEST_ROWS_FOR_SOAP
        and n_rows >= ROWS_PER_UNIT_FOR_SOAP * widest
    )


def goes_by_values(regressor: SirenRegressor, table: Table) -> bool:
    """Return whether how fast values change may decide on a fit to them."""
    n_rows, n_features = table.X.shape
    if regressor.solver == "lm" or n_rows <= MOST_NUMBERS_FOR_LM:
        return True
    is_for_soap = regressor.solver == "auto" and regressor.max_iter >= FEWEST_UPDATES_FOR_SOAP
    may_begin = is_for_soap and not is_on_grid(table.X)
    return is_copied(table) and (n_features == 1 or may_begin)


def may_begin_with_few(regressor: SirenRegressor, survey: Survey, solver: str) -> bool:
    """Return whether least squares on a few rows may come first.

    A few hundred pixels explain no picture, which is about a fraction of a percent of the variance.
    """
    return (
        regressor.solver == "auto"
        and solver == "soap"
        and regressor.omega_0 == "auto"
        and (regressor.loss == "squared_error" or _may_take_rounds(regressor, survey))
        and regressor.alpha == 0
        and is_copied(survey.table)
        and not survey.is_picture
        and _few_rows_show(survey)
    )


def _may_take_rounds(regressor: SirenRegressor, survey: Survey) -> bool:
    """Return whether there may be a fit for each round: outliers hide whether a grid has pixels."""
    is_alone = regressor.n_estimators == 1 and regressor.checkpoint is None
    return regressor.loss == "huber" and is_alone and not survey.is_grid
