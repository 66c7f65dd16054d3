"""Values, gradients and Laplacians as the columns of one array."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

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


def term_weights(regressor: SirenRegressor) -> dict[str, float]:
    """Return the weight of each kind of target."""
    return {
        "values": 1.0,
        "gradient": regressor.gradient_weight,
        "laplacian": regressor.laplacian_weight,
    }
