"""What the rows of a table show at first sight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skinr.frequency import spectral_edge
from skinr.layout import Layout
from skinr.picture_rows import is_on_grid, is_picture
from skinr.relevance import relevances
from skinr.rows import Table
from skinr.stored_rows import is_copied

if TYPE_CHECKING:
    from skinr.regressor import SirenRegressor

MOST_NUMBERS_FOR_LM = 2048
"""Targets up to which `solver="auto"` solves by least squares, at a cost that grows cubed."""


class Survey(NamedTuple):
    """A table, and what its rows show at first sight.

    Parameters
    ----------
    table : Table
    layout : Layout
    edge : float
        Of the spectrum of values of one variable; 0 for several, or where nothing depends on it.
    is_grid : bool
        Whether rows are on a grid, as pixels are.
    is_picture : bool
        Whether the values there are those of a picture.
    relevances : ndarray of shape (n_features,), optional
        How fast values change along each feature, over the fastest; 1 by default.
    """

    table: Table
    layout: Layout
    edge: float = 0.0
    is_grid: bool = False
    is_picture: bool = False
    relevances: NDArray[np.float64] | float = 1.0

    @classmethod
    def of(cls, regressor: SirenRegressor, table: Table, layout: Layout) -> Survey:
        """Look at the rows, as far as parameters leave a choice to them."""
        if layout.has_derivatives:
            return cls(table, layout)
        is_grid = is_on_grid(table.X)
        has_pixels = is_grid and (not is_copied(table) or is_picture(table.X, table.y))
        is_table = is_copied(table) and not has_pixels
        may_differ = regressor.omega_0 == "auto" and regressor.normalize_X
        return cls(
            table,
            layout,
            edge=_edge(regressor, table),
            is_grid=is_grid,
            is_picture=has_pixels,
            relevances=relevances(table) if is_table and may_differ else 1.0,
        )

    @classmethod
    def of_piece(cls, regressor: SirenRegressor, table: Table, layout: Layout) -> Survey:
        """Look at the first piece of a stream, which may be in any order."""
        if layout.has_derivatives:
            return cls(table, layout)
        return cls(table, layout, edge=_edge(regressor, table))

    @property
    def fast_coordinates(self) -> NDArray[np.floating[Any]]:
        """The features along which values change fastest."""
        X, is_fast = self.table.X, np.equal(self.relevances, 1)
        return X if is_fast.all() else X[:, is_fast]


def _edge(regressor: SirenRegressor, table: Table) -> float:
    is_of_use = regressor.omega_0 == "auto" or len(table.X) <= MOST_NUMBERS_FOR_LM
    return spectral_edge(table.X, table.y) if is_copied(table) and is_of_use else 0.0
