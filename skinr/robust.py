"""Huber's loss by least squares: outliers are drawn to what the other rows predict of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree

from skinr.losses import clip_residuals
from skinr.rows import Table
from skinr.scaling import AffineMap

MOST_ROUNDS = 6
"""Fits of one table at most."""

SETTLED = 0.5
"""Change of the predictions between two fits, over the largest residual that counts in full, below
which there is no other."""

N_NEIGHBOURS, N_PASSES = 7, 2
"""Rows whose median is the first guess at each of them, and how often it is taken: the second time
it is that of medians, of which few are those of outliers even where one row in six is."""

Array = NDArray[Any]


def local_medians(table: Table) -> Array:
    """Return what the nearest rows predict of each row, with hardly an influence of outliers.

    Parameters
    ----------
    table : Table
        Of values alone, all known.

    Returns
    -------
    medians : ndarray of shape (n_rows, n_outputs)
    """
    coordinates = AffineMap.from_usual_range(table.X).normalize(table.X)
    n_neighbours = min(N_NEIGHBOURS, len(coordinates))
    nearest = KDTree(coordinates).query(coordinates, k=range(1, n_neighbours + 1))[1]
    medians: Array = table.y
    for _ in range(N_PASSES):
        medians = np.median(medians[nearest], axis=1)
    return medians


def clipped_residuals(table: Table, expected: Array) -> Array:
    """Return the residuals of predictions, clipped to where Huber's loss turns linear."""
    residual, counts = (
        torch.from_numpy(np.asarray(part, dtype=np.float64))
        for part in (table.y - expected, table.weights[:, None])
    )
    clipped: Array = clip_residuals(residual, counts).numpy()
    return clipped


def has_settled(before: Array, after: Array, clipped: Array) -> bool:
    """Return whether predictions have hardly changed beside the residuals they are fitted to."""
    change, largest = np.abs(after - before).max(axis=0), np.abs(clipped).max(axis=0)
    return bool((change <= SETTLED * largest).all())
