"""Which rows of a table networks are fitted to, and which judge them, as tensors."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from torch import Tensor

from skinr.layout import Layout
from skinr.rows import Table, TrainingRows
from skinr.scaling import AffineMap, Units
from skinr.stored_rows import Rows, StoredRows, is_copied

if TYPE_CHECKING:
    from skinr.regressor import SirenRegressor

LEFT_OUT = 0.1
"""Share of the rows that a pair of members is not fitted to."""

MOST_LEFT_OUT = 2000
"""As many rows at most: the noise is known to one or two percent by those of a few pairs."""


def hold_out(regressor: SirenRegressor, table: Table, seed: int) -> tuple[Table, Table]:
    """Return the rows to be fitted, and those that early stopping is to judge by.

    Raises
    ------
    ValueError
        If there are no rows for one of the two.
    """
    if len(table.X) < 2:
        raise ValueError(
            "early_stopping=True holds out rows and needs at least 2 different ones; "
            f"n_samples = {len(table.X)} given."
        )
    share = regressor.validation_fraction
    if ceil(share * len(table.X)) == len(table.X):
        raise ValueError(
            f"validation_fraction={share} leaves none of {len(table.X)} different rows to be "
            "fitted; set a lower one."
        )
    training, validation = train_test_split(
        np.arange(len(table.X)), test_size=share, random_state=seed
    )
    return table.take(np.sort(training)), table.take(np.sort(validation))


def fitted_rows(
    training: Table,
    validation: Table | None,
    layout: Layout,
    units: Units,
    scaling: AffineMap,
    like: Tensor,
    n_members: int,
    seed: int,
) -> tuple[Rows, TrainingRows | None]:
    """Return the rows that each member is fitted to, and others for them to be judged by.

    As tensors like one; a single network has no others, and takes the rows from where they are if
    they are too many to copy.
    """
    if n_members == 1 and not layout.has_derivatives and not is_copied(training):
        return StoredRows(training, units.X, scaling, like), None
    rows, n_rows = TrainingRows.from_table(training, units.X, scaling, like), len(training.X)
    if n_members == 1:
        return rows, None
    if validation is not None:
        unseen = [validation]
    elif n_rows > 1:
        parts = deal_to_pairs(n_rows, n_members, np.random.RandomState(seed))
        unseen = [training.take(part) for part in parts]
        kept = [np.setdiff1d(np.arange(n_rows), part) for part in parts]
        own = [kept[min(k // 2, len(kept) - 1)] for k in range(n_members)]
        rows = rows._replace(own=torch.from_numpy(np.stack(own)).to(rows.targets.device))
    else:
        return rows, None
    values = (layout.values_of(table) for table in unseen)
    sets = [TrainingRows.from_table(part, units.X, units.y, like) for part in values]
    return rows, TrainingRows.join(sets, sets[0].n_rows)


def deal_to_pairs(
    n_rows: int, n_members: int, random: np.random.RandomState
) -> list[NDArray[np.intp]]:
    """Choose rows at random for each pair of members to leave out.

    Parameters
    ----------
    n_rows, n_members : int
        At least 2 of each.
    random : RandomState

    Returns
    -------
    parts : list of ndarray
        Of each pair, of equal size, different ones as far as there are enough. Without a second
        one the last member goes with the last pair.
    """
    n_pairs = n_members // 2
    size = min(max(1, int(LEFT_OUT * n_rows)), MOST_LEFT_OUT)
    turns = np.arange(n_pairs * size).reshape(n_pairs, size) % n_rows
    return list(random.permutation(n_rows)[turns])
