"""What "auto" stands for: frequencies, first weights, learning rate and the rows of an update."""

from __future__ import annotations

from math import inf, sqrt
from typing import TYPE_CHECKING

import numpy as np

from skinr.frequency import (
    Frequencies,
    candidate_frequencies,
    fallback_frequencies,
    frequencies_for_batches,
)
from skinr.layout import Layout
from skinr.network import SirenStack
from skinr.survey import Survey

if TYPE_CHECKING:
    from skinr.regressor import SirenRegressor

AUTO_LEARNING_RATE = 1e-3
"""Learning rate where `learning_rate_init="auto"` and the network is not too large for it."""

AUTO_BATCH_SIZE = 2048
"""Rows of an update where `batch_size="auto"`."""

MANY_ROWS = 500_000
"""Tables of more rows take twice as many for an update.

On a million rows of four surfaces with 10% noise it makes the error 27% to 40% smaller."""

AUTO_WEIGHT_SCALE = 1.25
"""What initial weights are multiplied by, without a head start."""

CROWDED_WEIGHT_SCALE = 1.85
"""What they are multiplied by where a network has fewer parameters than there are pixels: it has to
spend them on detail, and can't spend them on noise. On photographs of 128 to 512 pixels a side 1.7
gains 1 dB on the pixels (-0.1 to 2.6) and 0.15 dB between them (-0.6 to 1.0), in the median of 43
fits, and 1.85 another 0.2 dB on them (-0.2 to 0.7) and nothing between them, in that of 40
others."""

FEWEST_EPOCHS_WHEN_CROWDED = 8.0
"""How often a fit has to see each pixel for that; in fewer epochs smaller weights get further."""

FEW_EPOCHS = 30.0
"""How often a fit has to see each pixel to learn frequencies that its network does not start with;
in fewer epochs it starts with higher ones."""

MOST_HEAD_START = 1.45
"""Factor by which frequencies are raised at most, for photographs of 128 to 512 pixels a
side: a higher one is no better."""

RATE_TIMES_EPOCHS = 0.3
"""The learning rate that suits pixels, times how often a fit sees each of them: up to 150 epochs it
fills in better than a lower one does, and beyond it would only learn their noise."""

HIGHEST_RATE, HIGHEST_SPEED = 4e-3, 10.0
"""The learning rate of pixels is not raised above the one, nor the speed that it gives above the
other (see `STABLE_SPEED`)."""

STABLE_SPEED = 12.0
"""Largest stable product of learning rate, hidden frequency and summed hidden fan_in."""

STABLE_SPEED_OF_SOAP = 16.0
"""The largest stable product for SOAP."""

STABLE_SPEED_OF_DERIVATIVES = 4.0
"""The largest stable product where derivatives are fitted, which depend more on the weights."""

LOWEST_FOR_PICTURES = 4.0
"""The lowest frequency of pictures, which those of up to 34 x 34 pixels take: of 13 photographs of
16 and 22 pixels a side 2 leaves 34 dB of some on the pixels, where 4 leaves 69 dB or more, and half
a dB less between them."""

LOWEST_FOR_DERIVATIVES = 1.0
"""The lowest frequency that least squares may choose for derivatives: lower ones miss the constant
of slopes."""

SOAP_LEARNING_RATE = 1.2e-3
"""Learning rate of SOAP in fits of up to `SHORT_FIT` updates."""

SHORT_FIT = 2000
"""Updates up to which SOAP's rate is constant; beyond, it falls with the cube root of their number,
since instability adds up."""

ROWS_TO_LEARN_FROM = 700_000
"""With fewer rows a network that was fitted to some learns the more slowly from all, in proportion
to the square root of their number: it would only learn their noise."""


def epochs_over_pixels(regressor: SirenRegressor, survey: Survey, solver: str) -> float:
    """Return how often mini-batches bring each pixel.

    inf for least squares, and where rows are no pixels.
    """
    if solver == "lm" or not survey.is_grid:
        return inf
    n_rows = len(survey.table.X)
    return float(regressor.max_iter * min(1.0, choose_batch_size(regressor, n_rows) / n_rows))


def head_start(regressor: SirenRegressor, solver: str, n_epochs: float) -> float:
    """Return by which factor omega_0 is raised where a short fit sees pixels a few times alone."""
    if solver != "adam" or regressor.omega_0 != "auto":
        return 1.0
    return float(np.clip((FEW_EPOCHS / n_epochs) ** 0.4, 1.0, MOST_HEAD_START))


def choose_frequencies(
    regressor: SirenRegressor, survey: Survey, solver: str, start: float = 1.0
) -> list[Frequencies]:
    """Return the frequencies that a new network may have.

    For least squares those that race, and then those that are tried if none of them will do.

    Parameters
    ----------
    regressor : SirenRegressor
    survey : Survey
    solver : {"lm", "adam", "soap"}
    start : float, default=1.0
        The head start.
    """
    if regressor.omega_0 != "auto":
        omega_0 = float(regressor.omega_0)
        found = [Frequencies(omega_0, omega_0)]
    elif solver == "lm":
        lowest = LOWEST_FOR_DERIVATIVES if survey.layout.has_derivatives else 0.0
        candidates = candidate_frequencies(survey.fast_coordinates, survey.edge)
        found = [candidate for candidate in candidates if candidate.first >= lowest]
        found += fallback_frequencies(found)
    else:
        lowest = LOWEST_FOR_PICTURES if survey.is_picture else 0.0
        usual = frequencies_for_batches(survey.fast_coordinates, survey.edge)
        found = [Frequencies(*(start * max(omega_0, lowest) for omega_0 in usual))]
    if regressor.hidden_omega_0 is None:
        return found
    return [Frequencies(first, float(regressor.hidden_omega_0)) for first, _ in found]


def choose_weight_scale(
    regressor: SirenRegressor, start: float, n_epochs: float, *, is_crowded: bool
) -> float:
    """Return what initial weights are multiplied by.

    Parameters
    ----------
    regressor : SirenRegressor
    start : float
        The head start.
    n_epochs : float
        Passes over the pixels.
    is_crowded : bool
        Whether there are more rows than parameters.
    """
    if regressor.weight_scale != "auto":
        return float(regressor.weight_scale)
    if is_crowded and FEWEST_EPOCHS_WHEN_CROWDED <= n_epochs < inf:
        return CROWDED_WEIGHT_SCALE
    return AUTO_WEIGHT_SCALE * sqrt(start)


def peak_rate(
    regressor: SirenRegressor,
    stack: SirenStack,
    layout: Layout,
    solver: str,
    *,
    n_epochs: float = inf,
    n_rows: int = ROWS_TO_LEARN_FROM,
) -> float:
    """Return the highest learning rate.

    Parameters
    ----------
    regressor : SirenRegressor
    stack : SirenStack
    layout : Layout
    solver : {"lm", "adam", "soap"}
    n_epochs : float
        Passes over the pixels.
    n_rows : int
        Rows of the table, where the network was first fitted to a few of them.
    """
    if regressor.learning_rate_init != "auto":
        return float(regressor.learning_rate_init)
    rate, stable, share = AUTO_LEARNING_RATE, STABLE_SPEED, 1.0
    if layout.has_derivatives:
        stable = STABLE_SPEED_OF_DERIVATIVES
    elif solver == "soap":
        rate, stable = SOAP_LEARNING_RATE, STABLE_SPEED_OF_SOAP
        share = min(1.0, (SHORT_FIT / regressor.max_iter) ** (1 / 3))
        share *= min(1.0, (n_rows / ROWS_TO_LEARN_FROM) ** (1 / 2))
    hidden_fan_in = sum(stack.architecture.hidden_layer_sizes[:-1])
    speed = stack.hidden_omega_0[0] * hidden_fan_in
    inertia = 1 / speed if speed else inf
    rate_of_pixels = min(HIGHEST_RATE, RATE_TIMES_EPOCHS / n_epochs, HIGHEST_SPEED * inertia)
    return share * max(rate_of_pixels, min(rate, stable * inertia))


def choose_batch_size(regressor: SirenRegressor, n_rows: int) -> int:
    """Return the most rows of an update, of so many in a table or a piece."""
    if regressor.batch_size != "auto":
        return int(regressor.batch_size)
    return AUTO_BATCH_SIZE * (1 if n_rows <= MANY_ROWS else 2)
