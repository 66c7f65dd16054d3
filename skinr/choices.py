"""What "auto" stands for: solver, first weights, learning rate and the rows of an update."""

from __future__ import annotations

from math import inf, pi, sqrt
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skinr.frequency import (
    Frequencies,
    candidate_frequencies,
    frequencies_for_batches,
    lower_frequencies,
    spectral_edge,
)
from skinr.most_probable import FEW_ROWS
from skinr.network import SirenStack
from skinr.picture_rows import is_on_grid, is_picture
from skinr.relevance import relevances
from skinr.rows import Table
from skinr.stored_rows import is_copied
from skinr.targets import Layout

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
"""Factor by which the first frequency is raised at most, for photographs of 128 to 512 pixels a
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

LOWEST_FOR_DERIVATIVES = 1.0
"""The lowest frequency that least squares may choose for derivatives: lower ones miss the constant
of slopes."""

MOST_NUMBERS_FOR_LM = 2048
"""Targets up to which `solver="auto"` solves by least squares, at a cost that grows cubed."""

MOST_OTHER_NUMBERS_FOR_LM = 500
"""Targets up to which it does for derivatives, and for pixels, of which least squares would take
much for noise."""

FEWEST_ROWS_FOR_SOAP = 2048
"""Rows from which `solver="auto"` takes SOAP."""

FEWEST_UPDATES_FOR_SOAP = 1000
"""Updates from which it does: in fewer Adam gets as far, and further with layers of 64 units."""

ROWS_PER_UNIT_FOR_SOAP = 16
"""Rows that an update must have for each unit of the widest layer, inputs and outputs among them,
if SOAP's products are to be few beside those of the batch."""

SOAP_LEARNING_RATE = 1.2e-3
"""Learning rate of SOAP in fits of up to `SHORT_FIT` updates."""

SHORT_FIT = 2000
"""Updates up to which SOAP's rate is constant; beyond, it falls with the cube root of their number,
since instability adds up."""

ROWS_TO_LEARN_FROM = 700_000
"""With fewer rows a network that was fitted to some learns the more slowly from all, in proportion
to the square root of their number: it would only learn their noise."""

FEWEST_ROWS_A_PERIOD = 5
"""Rows that a period must have for least squares to find an oscillation."""

MOST_NUMBERS_AT_ALL = 20_000
"""Values and derivatives up to which `solver="lm"` does: beyond, each of its matrices takes over
3 GB."""


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

    @property
    def few_rows_show(self) -> bool:
        """Whether its oscillations can be told from noise by the rows of a race."""
        return pi * FEW_ROWS >= FEWEST_ROWS_A_PERIOD * self.edge


def _edge(regressor: SirenRegressor, table: Table) -> float:
    is_of_use = regressor.omega_0 == "auto" or len(table.X) <= MOST_NUMBERS_FOR_LM
    return spectral_edge(table.X, table.y) if is_copied(table) and is_of_use else 0.0


def choose_solver(regressor: SirenRegressor, survey: Survey, *, is_piece: bool) -> str:
    """Return "lm", "adam" or "soap".

    Raises
    ------
    ValueError
        If "lm" is asked for and can't do what else is.
    """
    if is_piece:
        return "soap" if regressor.solver == "soap" else "adam"
    if regressor.solver in ("adam", "soap"):
        return regressor.solver
    obstacles = _obstacles_to_lm(regressor, survey)
    if regressor.solver == "auto":
        if not obstacles and _suits_lm(regressor, survey):
            return "lm"
        return "soap" if _suits_soap(regressor, survey) else "adam"
    if obstacles:
        raise ValueError(
            f"solver='lm' works without {', '.join(obstacles)}; set solver='adam' or 'auto'."
        )
    return "lm"


def _obstacles_to_lm(regressor: SirenRegressor, survey: Survey) -> list[str]:
    table, layout = survey.table, survey.layout
    n_numbers = len(table.X) * layout.n_components * layout.n_outputs
    is_ensemble, is_robust = regressor.n_estimators > 1, regressor.loss == "huber"
    obstacles = {
        "loss='absolute_error'": regressor.loss == "absolute_error",
        "loss='huber' for an ensemble": is_robust and is_ensemble,
        "loss='huber' for derivatives": is_robust and layout.has_derivatives,
        "early_stopping=True": regressor.early_stopping,
        "derivatives for an ensemble": layout.has_derivatives and is_ensemble,
        f"more than {MOST_NUMBERS_AT_ALL} values and derivatives, as {n_numbers} are": (
            n_numbers > MOST_NUMBERS_AT_ALL
        ),
    }
    return [name for name, is_there in obstacles.items() if is_there]


def _suits_lm(regressor: SirenRegressor, survey: Survey) -> bool:
    is_usual = not (survey.layout.has_derivatives or survey.is_picture)
    most = MOST_NUMBERS_FOR_LM if is_usual else MOST_OTHER_NUMBERS_FOR_LM
    is_shown = len(survey.table.X) <= FEW_ROWS or survey.few_rows_show
    return _count_numbers(regressor, survey) <= most and is_shown and regressor.alpha == 0


def _count_numbers(regressor: SirenRegressor, survey: Survey) -> int:
    """Return how many targets least squares would fit at once."""
    table, layout = survey.table, survey.layout
    known = ~np.isnan(table.y)
    if table.implied is not None and "gradient" in layout.kinds:
        known &= ~table.implied
    weights = term_weights(regressor)
    return sum(int(known[:, layout.columns(kind)].sum()) for kind in layout.kinds if weights[kind])


def _suits_soap(regressor: SirenRegressor, survey: Survey) -> bool:
    table, layout = survey.table, survey.layout
    n_rows = min(len(table.X), choose_batch_size(regressor, len(table.X)))
    widest = max(layout.n_features, layout.n_outputs, *layer_sizes(regressor))
    return (
        not layout.has_derivatives
        and regressor.max_iter >= FEWEST_UPDATES_FOR_SOAP
        and len(table.X) >= FEWEST_ROWS_FOR_SOAP
        and n_rows >= ROWS_PER_UNIT_FOR_SOAP * widest
    )


def goes_by_values(regressor: SirenRegressor, table: Table) -> bool:
    """Return whether how fast values change may decide on a fit to them."""
    n_rows, n_features = table.X.shape
    if regressor.solver == "lm" or n_rows <= MOST_NUMBERS_FOR_LM:
        return True
    is_for_soap = regressor.solver == "auto" and regressor.max_iter >= FEWEST_UPDATES_FOR_SOAP
    may_begin = is_for_soap and not is_on_grid(table.X)
    return is_copied(table) and (n_features == 1 or may_begin)


def may_begin_with_few(regressor: SirenRegressor, survey: Survey, solver: str) -> bool:
    """Return whether least squares on a few rows may come first.

    A few hundred pixels explain no picture, which is about a fraction of a percent of the variance.
    """
    return (
        regressor.solver == "auto"
        and solver == "soap"
        and regressor.omega_0 == "auto"
        and (regressor.loss == "squared_error" or _may_take_rounds(regressor, survey))
        and regressor.alpha == 0
        and is_copied(survey.table)
        and not survey.is_picture
        and survey.few_rows_show
    )


def _may_take_rounds(regressor: SirenRegressor, survey: Survey) -> bool:
    """Return whether there may be a fit for each round: outliers hide whether a grid has pixels."""
    is_alone = regressor.n_estimators == 1 and regressor.checkpoint is None
    return regressor.loss == "huber" and is_alone and not survey.is_grid


def term_weights(regressor: SirenRegressor) -> dict[str, float]:
    """Return the weight of each kind of target."""
    return {
        "values": 1.0,
        "gradient": regressor.gradient_weight,
        "laplacian": regressor.laplacian_weight,
    }


def layer_sizes(regressor: SirenRegressor) -> tuple[int, ...]:
    """Return the widths of the hidden layers, checked."""
    given = regressor.hidden_layer_sizes
    sizes = np.atleast_1d(np.array(given, dtype=object)).tolist()
    if not sizes or not all(_is_count(size) for size in sizes):
        raise ValueError(
            f"hidden_layer_sizes must be one or more integers of at least 1; {given!r} given."
        )
    return tuple(int(size) for size in sizes)


def _is_count(size: Any) -> bool:
    return isinstance(size, Integral) and not isinstance(size, bool) and int(size) >= 1


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
        found += lower_frequencies(found)
    else:
        first, hidden = frequencies_for_batches(survey.fast_coordinates, survey.edge)
        found = [Frequencies(first * start, hidden * start)]
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
