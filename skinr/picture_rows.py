"""Whether rows on a grid are the pixels of a picture, or the values of a function."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skinr.scaling import AffineMap

Array = NDArray[Any]

GRID_SAMPLE = 10_000
"""Rows by which a grid is recognised."""

MOST_TICKS = 0.9
"""Share of different positions along some axis of the sample, below which they repeat as those of a
grid do."""

NODES_PER_ROW = 4
"""Nodes of a grid for each row, at most: pixels may be missing."""

WINDOW_SIZE = 2**16
"""Rows of a grid that are looked at."""

SPACINGS = (1, 2, 3)
"""Nodes between the values of a second difference."""

UNRESOLVED = 6.0
"""Growth of squared second differences from the first spacing to the second, from which rows are of
a function that they hardly resolve. Those of pictures grow 1.6 to 5.8 times."""

RESOLVED = 2.0
"""Growth from the second spacing to the third over that from the first to the second, from which a
function is resolved: 1 for edges, 1.5 for fractal terrains, 2.7 for kinks and 4.3 for what is
smooth. On 75 pictures (15 photographs and textures, 24 to 256 pixels a side) it is up to 1.2, or up
to 2 for three small line drawings. Terrains of 10,000 rows with 10% noise are fitted worse by
half from a few rows than anew."""

FLAT = 1.3
"""Growth from the first spacing to the second, up to which differences are those of noise."""

MOST_NOISE = 0.5
"""Share of the variance that is noise then; with more it is a texture."""

FEW_PIXELS = 2048
"""Rows up to which the next two hold: least squares learn a function of so few from much noise."""

MOST_NOISE_OF_FEW = 0.25
"""The same share: reduced to few pixels more textures look like noise."""

RESOLVED_OF_FEW = 1.5
"""What `RESOLVED` is there. Of 980 functions of 529 to 2025 rows, in up to 20% of noise, 88 are
taken for pictures and not 172, and those of the others have a third of the error in the median; of
608 pictures 93 for functions and not 73, which are filled in as well."""

NOISE_IN_DIFFERENCES = 6.0
"""Mean square of the second differences of white noise over its variance: 1 + 4 + 1."""

FEWEST_NODES = 15
"""Positions along an axis from which its differences tell pictures from functions. Of smooth and
oscillating functions on 9 x 100 or 10 x 10 x 10 nodes half would be taken for pictures by their
short axes, and of those on 13 x 13 a tenth, in 30% noise two fifths."""

ROUNDING = 1e-12
"""Mean square of the second differences of what float32 holds of a plane, at most."""


def is_on_grid(coordinates: Array) -> bool:
    """Return whether rows are nodes of a grid along two axes or more, a quarter of them at least.

    Parameters
    ----------
    coordinates : ndarray of shape (n_rows, n_features)
    """
    n_rows = len(coordinates)
    sample = coordinates[:: max(1, n_rows // GRID_SAMPLE)]
    n_ticks = [len(np.unique(column)) for column in sample.T]
    varies = AffineMap.from_range(coordinates).scale > 0
    n_ticks = [n for n, several in zip(n_ticks, varies, strict=True) if n > 1 or several]
    repeats = len(n_ticks) > 1 and min(n_ticks) < MOST_TICKS * len(sample)
    return repeats and bool(np.prod(n_ticks, dtype=float) <= NODES_PER_ROW * n_rows)


def is_picture(coordinates: Array, values: Array) -> bool:
    r"""Return whether values on a grid are those of a picture.

    The mean square of second differences of values s nodes apart grows as :math:`a + b s^q`, where
    a is of noise, and q is 1 for edges, 3 for kinks and 4 for what is smooth. Pictures have edges,
    at every scale down to the pixel.

    Parameters
    ----------
    coordinates : ndarray of shape (n_rows, n_features)
        Nodes of a grid. Along one axis or more they have 15 positions, or it is no picture.
    values : ndarray of shape (n_rows, n_columns)
    """
    array = _as_array(*_window(coordinates, values))
    if array is None:
        return True
    are_few = len(values) <= FEW_PIXELS
    most_noise = MOST_NOISE_OF_FEW if are_few else MOST_NOISE
    resolved = RESOLVED_OF_FEW if are_few else RESOLVED
    first, second, third = (_mean_square_difference(array, spacing) for spacing in SPACINGS)
    if second <= FLAT * first + ROUNDING:
        return first > most_noise * NOISE_IN_DIFFERENCES
    return second < UNRESOLVED * first and third - second < resolved * (second - first)


def _window(coordinates: Array, values: Array) -> tuple[Array, Array]:
    """Return the rows around the middle one, no more than a window holds."""
    part = (WINDOW_SIZE / len(coordinates)) ** (1 / coordinates.shape[1])
    if part >= 1:
        return coordinates, values
    normalised = AffineMap.from_range(coordinates).normalize(coordinates)
    middle = normalised[len(normalised) // 2]
    within = (np.abs(normalised - middle) <= part).all(axis=1)
    return coordinates[within], values[within]


def _as_array(coordinates: Array, values: Array) -> Array | None:
    """Return standardised values with an axis for each feature; NaN where there is no row.

    None where rows are fewer than a grid has that is worth the memory.
    """
    ticks, nodes = zip(
        *(np.unique(column, return_inverse=True) for column in coordinates.T), strict=True
    )
    shape = tuple(map(len, ticks))
    if np.prod(shape, dtype=float) > NODES_PER_ROW * len(values):
        return None
    array = np.full((*shape, values.shape[1]), np.nan)
    array[nodes] = AffineMap.from_moments(values).normalize(values)
    return array


def _mean_square_difference(array: Array, spacing: int) -> float:
    """Return the mean over the axes but the last of squared second differences; NaN if none."""
    squares = []
    for axis in range(array.ndim - 1):
        line = np.moveaxis(array, axis, 0)
        if len(line) >= FEWEST_NODES:
            inner = line[spacing:-spacing]
            square = (line[2 * spacing :] - 2 * inner + line[: -2 * spacing]) ** 2
            squares.append(square[np.isfinite(square)])
    means = [square.mean() for square in squares if square.size]
    return float(np.mean(means)) if means else np.nan
