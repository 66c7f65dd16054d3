"""What rows are fitted to: values, gradients and Laplacians, their columns and their units."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_array

from skinr.integration import implied_values
from skinr.losses import JetObjective, Objective, Term
from skinr.network import SirenStack
from skinr.rows import Table, Weight
from skinr.scaling import AffineMap, Units

SMALLEST_SPREAD = 0.01
"""Values that vary less than this share of what the derivatives imply do not set the unit of y."""

Array = NDArray[Any]


class Layout(NamedTuple):
    """The meaning of the columns of a table's targets.

    A kind has its columns component by component, a component its outputs: the gradient first
    its derivatives of all outputs by the first feature, then those by the second.

    Parameters
    ----------
    kinds : tuple of {"values", "gradient", "laplacian"}
        In this order.
    n_features, n_outputs : int
    single_target : bool
        Whether predictions are one-dimensional.
    """

    kinds: tuple[str, ...]
    n_features: int
    n_outputs: int
    single_target: bool

    @property
    def has_derivatives(self) -> bool:
        """Whether there is more to fit than values."""
        return self.kinds != ("values",)

    @property
    def n_components(self) -> int:
        """Number of components of the jets that have these kinds."""
        return int(self.components(self.kinds[-1]).stop)

    def components(self, kind: str) -> slice:
        """Return where a jet has this kind."""
        first = {"values": 0, "gradient": 1, "laplacian": 1 + self.n_features}[kind]
        return slice(first, first + (self.n_features if kind == "gradient" else 1))

    def columns(self, kind: str) -> slice:
        """Return where a table's targets have this kind."""
        first = 0
        for other in self.kinds:
            components = self.components(other)
            last = first + (components.stop - components.start) * self.n_outputs
            if other == kind:
                return slice(first, last)
            first = last
        raise KeyError(kind)

    def values_of(self, table: Table) -> Table:
        """Return a table of nothing but the values; NaN where they are unknown or no data."""
        if "values" not in self.kinds:
            return table._replace(y=np.full((len(table.y), self.n_outputs), np.nan), implied=None)
        columns = self.columns("values")
        values = table.y[:, columns]
        if table.implied is not None:
            values = np.where(table.implied[:, columns], np.nan, values)
        return table._replace(y=values, implied=None)

    def part(self, targets: Array, kind: str) -> Array:
        """View a kind of the targets (n_rows, n_columns) as (n_rows, n_components, n_outputs)."""
        return targets[:, self.columns(kind)].reshape(len(targets), -1, self.n_outputs)


def collect_targets(
    shape: tuple[int, ...],
    y: ArrayLike | None,
    gradient: ArrayLike | None,
    laplacian: ArrayLike | None,
    counts: NDArray[np.bool_] | None = None,
) -> tuple[Array, Layout]:
    """Validate values and derivatives, and put them side by side.

    Parameters
    ----------
    shape : tuple (n_samples, n_features)
        Of X.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), optional
    gradient : array-like of shape (n_samples, n_features) or \
            (n_samples, n_outputs, n_features), optional
    laplacian : array-like of shape (n_samples,) or (n_samples, n_outputs), optional
        NaN marks what a row does not have.
    counts : ndarray of bool of shape (n_samples,), optional
        Rows of positive weight; all by default.

    Returns
    -------
    targets : ndarray of shape (n_samples, n_columns)
    layout : Layout
        Of the kinds of which anything is known in rows that count.

    Raises
    ------
    ValueError
        For shapes that do not belong together, infinite entries, or nothing to fit.
    """
    n_samples, n_features = shape
    given = {"y": y, "gradient": gradient, "laplacian": laplacian}
    arrays = {name: _validate(name, part) for name, part in given.items() if part is not None}
    name, reference = next(iter(arrays.items()))
    single_target = reference.ndim == (2 if name == "gradient" else 1)
    outputs = () if single_target else reference.shape[1:2]
    for name, array in arrays.items():
        expected = (n_samples, *outputs, *((n_features,) if name == "gradient" else ()))
        if array.shape != expected:
            raise ValueError(
                f"{name} has shape {array.shape}; X of shape {shape} and targets of shape "
                f"{(n_samples, *outputs)} call for {expected}."
            )
    rows = slice(None) if counts is None else counts
    known = {name: array for name, array in arrays.items() if not np.isnan(array[rows]).all()}
    if not known:
        raise ValueError(
            f"Nothing to fit: every entry of {', '.join(arrays)} is NaN or in a row with a weight "
            "of 0."
        )
    n_outputs = 1 if single_target else outputs[0]
    columns = []
    for name, array in known.items():
        if name == "gradient":
            array = array.reshape(n_samples, n_outputs, -1).transpose(0, 2, 1)
        columns.append(array.reshape(n_samples, -1))
    kinds = tuple("values" if name == "y" else name for name in known)
    return np.hstack(columns), Layout(kinds, n_features, n_outputs, single_target)


def check_targets(table: Table, layout: Layout, weights: dict[str, float]) -> None:
    """Check that there is something to fit, and that values are known where nothing else is.

    Parameters
    ----------
    table : Table
        With no value implied by derivatives.
    layout : Layout
    weights : dict
        Of each kind.

    Raises
    ------
    ValueError
    """
    is_known = ~np.isnan(table.y)
    if not any(is_known[:, layout.columns(kind)].any() for kind in layout.kinds if weights[kind]):
        raise ValueError(
            "Nothing to fit: all that is known has a weight of 0, by "
            f"gradient_weight={weights['gradient']} or laplacian_weight={weights['laplacian']}."
        )
    if not layout.has_derivatives and not is_known.all():
        raise ValueError(
            "y contains NaN, and no derivative is known in its place; leave out those rows."
        )


def require_real(name: str, array: Array) -> None:
    """Raise a ValueError for text, dates, durations and complex numbers."""
    if array.dtype.kind not in "buif":
        raise ValueError(f"{name} must hold real numbers; it has dtype {array.dtype}.")


def _validate(name: str, part: ArrayLike) -> Array:
    array: Array = check_array(
        part, ensure_2d=False, allow_nd=True, ensure_all_finite="allow-nan", input_name=name
    )
    require_real(name, array)
    return array if array.dtype in (np.float64, np.float32) else array.astype(np.float64)


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
    normalized = part / np.where(unit > 0, unit, np.inf)
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
