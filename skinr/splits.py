"""Which rows of a table networks are fitted to, and which judge them, as tensors."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor

from skinr.error_bars import deal_to_pairs
from skinr.rows import Table, TrainingRows
from skinr.scaling import AffineMap, Units
from skinr.stored_rows import Rows, StoredRows, is_copied
from skinr.targets import Layout

if TYPE_CHECKING:
    from skinr.regressor import SirenRegressor


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


def training_rows(
    table: Table, layout: Layout, units: Units, scaling: AffineMap, like: Tensor
) -> Rows:
    """Return rows as tensors like one, or where they are if that is too much to copy."""
    if layout.has_derivatives or is_copied(table):
        return TrainingRows.from_table(table, units.X, scaling, like)
    return StoredRows(table, units.X, scaling, like)


def leave_out(
    rows: TrainingRows,
    training: Table,
    validation: Table | None,
    layout: Layout,
    units: Units,
    n_members: int,
    seed: int,
) -> tuple[TrainingRows, TrainingRows | None]:
    """Return the rows that each member is fitted to, and others for them to be judged by."""
    n_rows = len(training.X)
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
    like = rows.targets
    values = (layout.values_of(table) for table in unseen)
    sets = [TrainingRows.from_table(part, units.X, units.y, like) for part in values]
    return rows, TrainingRows.join(sets, sets[0].n_rows)
