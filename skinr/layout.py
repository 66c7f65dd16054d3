"""Values, gradients and Laplacians as the columns of one array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_array

from skinr.rows import Table

if TYPE_CHECKING:
    from skinr.regressor import SirenRegressor

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


def term_weights(regressor: SirenRegressor) -> dict[str, float]:
    """Return the weight of each kind of target."""
    return {
        "values": 1.0,
        "gradient": regressor.gradient_weight,
        "laplacian": regressor.laplacian_weight,
    }
