"""Fits of a regressor to the pixels of an image, or of one tile of many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from skinr.grids import Grid, to_coordinates
from skinr.interruption import parts_of_a_whole
from skinr.pixels import to_values

Array = NDArray[Any]


def fit_pixels(
    regressor: Any, pixels: Array, known: NDArray[np.bool_], metadata: Mapping[str, Array]
) -> Any:
    """Fit a clone of a regressor to the pixels that are known.

    Parameters
    ----------
    regressor : estimator
    pixels : ndarray of shape (*grid_shape, n_channels) or grid_shape
    known : ndarray of bool of shape grid_shape
    metadata : mapping of str to ndarray of shape grid_shape

    Returns
    -------
    regressor : estimator
        Fitted to coordinates in [-1, 1] and values.
    """
    positions = Grid.over(known.shape).positions()[known.ravel()]
    rows = {name: value[known] for name, value in metadata.items()}
    return clone(regressor).fit(
        to_coordinates(positions, known.shape), to_values(pixels[known]), **rows
    )


def fit_tile(
    regressor: Any, pixels: Array, known: NDArray[np.bool_], metadata: Mapping[str, Array]
) -> Any:
    """Do what :func:`fit_pixels` does to one tile of many."""
    with parts_of_a_whole():
        return fit_pixels(regressor, pixels, known, metadata)
