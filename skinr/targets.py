"""What a fit to derivatives is about: the values that they imply, its units and its objective."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from skinr.integration import implied_values
from skinr.layout import Layout
from skinr.network import SirenStack
from skinr.objectives import JetObjective, Objective, Term
from skinr.rows import Table, Weight
from skinr.scaling import AffineMap, Units, quotient

SMALLEST_SPREAD = 0.01
"""Values that vary less than this share of what the derivatives imply do not set the unit of y."""

Array = NDArray[Any]


def with_implied_values(table: Table, layout: Layout) -> tuple[Table, Layout]:
    """Add the values that derivatives imply where none is known.

    Gradient descent on derivatives alone is slow in long waves: with the square of their length,
    since these have small slopes. With values to fit they are learned as fast as the rest.

    Parameters
    ----------
    table : Table
    layout : Layout

    Returns
    -------
    table : Table
        Its mask `implied` says which values were added.
    layout : Layout
    """
    n_rows = len(table.X)
    known = np.full((n_rows, layout.n_outputs), np.nan)
    others = table.y
    if "values" in layout.kinds:
        columns = layout.columns("values")
        known, others = table.y[:, columns], table.y[:, columns.stop :]
    gradient, laplacian = (
        layout.part(table.y, kind) if kind in layout.kinds else None
        for kind in ("gradient", "laplacian")
    )
    values = implied_values(
        table.X, gradient, None if laplacian is None else laplacian[:, 0], known
    )
    implied = np.hstack([np.isnan(known) & ~np.isnan(values), np.zeros(others.shape, dtype=bool)])
    kinds = tuple(dict.fromkeys(("values", *layout.kinds)))
    table = table._replace(y=np.hstack([values, others]), implied=implied)
    return table, layout._replace(kinds=kinds)


def units_of_derivatives(table: Table, layout: Layout, X: AffineMap, omega_0: float) -> AffineMap:
    r"""Return the units of the values where derivatives are fitted.

    Those of the values, known or implied, if they vary. Otherwise the scale is the root mean square
    of the gradient by normalised coordinates over :math:`\omega_0`, or of the Laplacian over
    :math:`\omega_0^2`: what a wave of that frequency would have.

    Parameters
    ----------
    table : Table
    layout : Layout
    X : AffineMap
    omega_0 : float

    Returns
    -------
    y : AffineMap
    """
    implied = np.zeros(layout.n_outputs)
    per_value = Units(X, AffineMap.identity(layout.n_outputs), layout.single_target, np.float64)
    for kind, power in (("laplacian", 2), ("gradient", 1)):
        if kind in layout.kinds:
            own = _root_mean_square(table, layout, kind, per_value) / omega_0**power
            implied = np.where(own > 0, own, implied)
    center, scale = np.zeros(layout.n_outputs), implied
    if "values" in layout.kinds:
        known = _known_moments(layout.part(table.y, "values")[:, 0], table.weight)
        center = known.center
        scale = np.where(known.scale > SMALLEST_SPREAD * implied, known.scale, implied)
    return AffineMap(center, scale)


def jet_problem(
    table: Table,
    layout: Layout,
    units: Units,
    stack: SirenStack,
    *,
    loss: str,
    alpha: float,
    weights: dict[str, float],
) -> tuple[AffineMap, Objective]:
    """Return how the columns of the targets are normalised, and what is minimised.

    Derivatives are divided by their root mean square, so that each term of the objective is
    about 1 where nothing is explained.

    Parameters
    ----------
    table : Table
    layout : Layout
    units : Units
    stack : SirenStack
    loss : str
    alpha : float
    weights : dict
        The weight of each kind.

    Returns
    -------
    scaling : AffineMap
        Of all columns.
    objective : Objective
    """
    centers, scales, terms = [], [], []
    for kind in layout.kinds:
        magnitude = np.ones(layout.n_outputs)
        if kind != "values":
            magnitude = _root_mean_square(table, layout, kind, units)
            magnitude[magnitude == 0] = 1
        unit = _unit(kind, units)
        centers.append(units.y.center if kind == "values" else np.zeros(unit.size))
        scales.append((unit * magnitude).ravel())
        magnitude_tensor = torch.from_numpy(magnitude).to(stack.parameters)
        terms.append(
            Term(layout.components(kind), layout.columns(kind), magnitude_tensor, weights[kind])
        )
    operators = [units.laplacian_operator] if "laplacian" in layout.kinds else []
    scaling = AffineMap(np.concatenate(centers), np.concatenate(scales))
    return scaling, JetObjective(stack, loss, alpha, terms, operators)


def _unit(kind: str, units: Units) -> NDArray[np.float64]:
    """Return the user's unit of a kind, of shape (n_components, n_outputs)."""
    if kind == "values":
        return units.y.scale[None]
    return units.gradient if kind == "gradient" else units.laplacian[None]


def _root_mean_square(table: Table, layout: Layout, kind: str, units: Units) -> Array:
    """Return the root mean square of a kind for each output, in the network's units."""
    part = layout.part(table.y, kind)
    unit = _unit(kind, units)
    normalized = quotient(part, unit)
    share = ~np.isnan(normalized) * table.weights[:, None, None]
    peak = np.nanmax(np.abs(normalized), axis=(0, 1), initial=0)
    relative = np.nan_to_num(normalized / np.where(peak > 0, peak, 1))
    total = np.where(share.any(axis=(0, 1)), share.sum(axis=(0, 1)), 1)
    root: Array = peak * np.sqrt((share * relative**2).sum(axis=(0, 1)) / total)
    return root


def _known_moments(values: Array, weight: Weight) -> AffineMap:
    """Return the mean and standard deviation of those entries of each column that are known."""
    columns = [_column_moments(column, weight) for column in values.T]
    return AffineMap(*(np.concatenate(part) for part in zip(*columns, strict=True)))


def _column_moments(column: Array, weight: Weight) -> AffineMap:
    known = ~np.isnan(column)
    if not known.any():
        return AffineMap(np.zeros(1), np.zeros(1))
    return AffineMap.from_moments(
        column[known, None], None if weight is None else weight[known] / weight[known].mean()
    )


def constant_from_rows(predictions: Array, table: Table, layout: Layout) -> NDArray[np.float64]:
    """Return what to add to each output so that the mean residual of the known values is 0.

    An output of which no value is known gets a mean of 0 over the rows.

    Parameters
    ----------
    predictions : ndarray of shape (n_rows, n_outputs)
    table : Table
    layout : Layout

    Returns
    -------
    constant : ndarray of shape (n_outputs,)
    """
    values = layout.values_of(table).y
    residual = np.where(np.isnan(values).all(axis=0), -predictions, values - predictions)
    return _known_moments(residual, table.weight).center
