"""Choosing omega_0 from data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ROWS_PER_CELL = 75.0
"""Rows that a unit of frequency along every axis takes."""

LOWEST, HIGHEST = 1.5, 30.0
"""Range of the choice; the upper end is what the paper takes for every image."""


def omega_0_from_density(coordinates: NDArray[np.floating]) -> float:
    r"""Choose the frequency that as many rows can bear.

    With n rows that vary along d axes it is :math:`(n/75)^{1/d}`, within [1.5, 30]: in
    proportion to the number of rows along an axis, as the highest frequency that samples can show
    is (Nyquist), and far below that, since the rows must determine a function and not only carry
    it. The constant was chosen on smooth, oscillating, peaked, kinked and discontinuous functions
    of one to three variables, 50 to 2000 rows, half of them noisy, so that neither kind loses much
    to the best of ten frequencies. A photograph of 256 x 256 pixels gets 29.6 by it, where the
    paper takes 30.

    Parameters
    ----------
    coordinates : ndarray of shape (n_rows, n_features)

    Returns
    -------
    omega_0 : float
    """
    n_axes = max(1, int(np.count_nonzero(np.ptp(coordinates, axis=0))))
    density = (len(coordinates) / ROWS_PER_CELL) ** (1 / n_axes)
    return float(np.clip(density, LOWEST, HIGHEST))
