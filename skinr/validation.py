"""Rows as users give them, checked: what a fit takes, and the error that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.utils import assert_all_finite
from sklearn.utils.validation import _check_sample_weight, validate_data

from skinr.layout import Layout, check_targets, collect_targets, require_real, term_weights
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
