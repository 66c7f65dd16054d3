"""Which rows of a table networks are fitted to, and which judge them, as tensors."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.model_selection import train_test_split

from skinr.error_bars import deal_to_pairs
from skinr.network import SirenStack
from skinr.rows import Table, TrainingRows
from skinr.scaling import AffineMap, Units
from skinr.stored_rows import MAX_COPIED_SIZE, Rows, StoredRows
from skinr.targets import Layout

if TYPE_CHECKING:
    from skinr.regressor import SirenRegressor


def hold_out(
    regressor: SirenRegressor, table: Table, random: np.random.RandomState
) -> tuple[Table, Table]:
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
        np.arange(len(table.X)), test_size=share, random_state=random
    )
    return table.take(np.sort(training)), table.take(np.sort(validation))


def training_rows(
    table: Table, layout: Layout, units: Units, scaling: AffineMap, stack: SirenStack
) -> Rows:
    """Return rows as tensors of the stack's, or where they are if that is too much to copy."""
    if layout.has_derivatives or table.X.size + table.y.size <= MAX_COPIED_SIZE:
        return to_rows(table, units.X, scaling, stack)
    device, dtype = stack.parameters.device, stack.parameters.dtype
    return StoredRows(table, units.X, scaling, device=device, dtype=dtype)


def leave_out(
    rows: TrainingRows,
    training: Table,
    validation: Table | None,
    layout: Layout,
    units: Units,
    stack: SirenStack,
    random: np.random.RandomState,
) -> tuple[TrainingRows, TrainingRows | None]:
    """Return the rows that each member is fitted to, and others for them to be judged by."""
    n_rows, n_members = len(training.X), len(stack)
    if validation is not None:
        unseen = [validation]
    elif n_rows > 1:
        parts = deal_to_pairs(n_rows, n_members, random)
        unseen = [training.take(part) for part in parts]
        kept = [np.setdiff1d(np.arange(n_rows), part) for part in parts]
        own = [kept[min(k // 2, len(kept) - 1)] for k in range(n_members)]
        rows = rows._replace(own=torch.from_numpy(np.stack(own)).to(rows.targets.device))
    else:
        return rows, None
    sets = [to_rows(layout.values_of(table), units.X, units.y, stack) for table in unseen]
    return rows, TrainingRows.join(sets, sets[0].n_rows)


def to_rows(
    table: Table, X_scaling: AffineMap, y_scaling: AffineMap, stack: SirenStack
) -> TrainingRows:
    """Return a copy of rows as tensors of the stack's."""
    device, dtype = stack.parameters.device, stack.parameters.dtype
    return TrainingRows.from_table(table, X_scaling, y_scaling, device=device, dtype=dtype)
