"""Rows as users give them, checked: what a fit takes, and the error that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import (
    _check_sample_weight,
    _get_feature_names,
    check_array,
    validate_data,
)

from skinr.layout import Layout, term_weights
from skinr.rows import Table

if TYPE_CHECKING:
    from skinr.regressor import SirenRegressor

Values = NDArray[np.floating[Any]]


def validate_rows(
    regressor: SirenRegressor,
    X: ArrayLike,
    y: ArrayLike | None,
    sample_weight: ArrayLike | None,
    gradient: ArrayLike | None,
    laplacian: ArrayLike | None,
    *,
    continued: bool,
) -> tuple[Table, Layout]:
    """Return what is to be fitted as one table, and which columns of it are what.

    Parameters
    ----------
    regressor : SirenRegressor
        Learns how many features there are, and their names.
    X, y, sample_weight, gradient, laplacian : array-like
        As `fit` takes them.
    continued : bool
        Whether features have to be those that it knows.

    Returns
    -------
    table : Table
    layout : Layout

    Raises
    ------
    ValueError, TypeError
        As `fit` does for unusable input.
    """
    values_alone = gradient is None and laplacian is None
    if values_alone:
        coordinates, targets, layout = _validate_values(regressor, X, y, continued=continued)
    else:
        coordinates = validate_data(
            regressor, X, dtype=[np.float64, np.float32], reset=not continued
        )
    weight = None if sample_weight is None else check_weight(sample_weight, coordinates)
    if not values_alone:
        check_order(regressor, gradient)
        counts = None if weight is None else weight > 0
        targets, layout = collect_targets(coordinates.shape, y, gradient, laplacian, counts)
    table = Table.canonical(coordinates, targets, weight)
    if not values_alone:
        _check_targets(table, layout, term_weights(regressor))
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
    _require_real("y", values)
    if getattr(y, "dtype", np.object_) == np.object_:  # of which validate_data lets None through
        assert_all_finite(values, input_name="y")
    if values.dtype == np.longdouble:
        values = values.astype(np.float64)
    targets = values.reshape(len(values), -1)
    layout = Layout(("values",), coordinates.shape[1], targets.shape[1], values.ndim == 1)
    return coordinates, targets, layout


def check_weight(sample_weight: ArrayLike | None, X: Values) -> NDArray[np.float64]:
    """Return the weight of each row of X; 1 where none are given.

    Raises
    ------
    ValueError
        For negative weights, or none that is positive.
    """
    weight: NDArray[np.float64] = _check_sample_weight(sample_weight, X, dtype=np.float64)
    if (weight < 0).any() or not weight.any():
        raise ValueError(
            "sample_weight must be non-negative with at least one positive weight; its "
            f"smallest entry is {weight.min()}, its largest {weight.max()}."
        )
    return weight


def check_order(regressor: Any, gradient: ArrayLike | None) -> None:
    """Raise a ValueError for slopes along the features that it knows, in another order."""
    features = getattr(regressor, "feature_names_in_", None)
    names = _get_feature_names(gradient)
    if features is None or names is None or sorted(features) != sorted(names):
        return
    if list(features) != list(names):
        raise ValueError(
            f"gradient has the columns {list(names)}, and X {list(features)}; give both in one "
            "order, as gradient[X.columns] has it."
        )


def collect_targets(
    shape: tuple[int, ...],
    y: ArrayLike | None,
    gradient: ArrayLike | None,
    laplacian: ArrayLike | None,
    counts: NDArray[np.bool_] | None = None,
) -> tuple[Values, Layout]:
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


def _check_targets(table: Table, layout: Layout, weights: dict[str, float]) -> None:
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


def _require_real(name: str, array: Values) -> None:
    """Raise a ValueError for text, dates, durations and complex numbers."""
    if array.dtype.kind not in "buif":
        raise ValueError(f"{name} must hold real numbers; it has dtype {array.dtype}.")


def _validate(name: str, part: ArrayLike) -> Values:
    array: Values = check_array(
        part, ensure_2d=False, allow_nd=True, ensure_all_finite="allow-nan", input_name=name
    )
    _require_real(name, array)
    return array if array.dtype in (np.float64, np.float32) else array.astype(np.float64)
