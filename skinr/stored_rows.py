"""Rows of large tables, read where they are: in a file that is mapped, or in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from math import ceil

import torch
from sklearn.utils import gen_batches
from torch import Tensor

from skinr.rows import Table, TrainingRows, in_batches
from skinr.scaling import CHUNK_SIZE, AffineMap

MAX_COPIED_SIZE = 2**24
"""Tables of more numbers are not copied into tensors."""

BLOCK_SIZE = 64
"""Rows that are read together, as they follow each other in the table."""

BLOCKS_OF_A_GROUP = 2**15
"""Blocks from all over the table whose rows are mixed: as many rows as 1000 updates of 2048 take.

With 1024 blocks, 2 megapixels in the order of the picture are fitted 0.5 to 0.8 dB worse."""


def is_copied(table: Table) -> bool:
    """Return whether a table is small enough to be copied into tensors."""
    return table.X.size + table.y.size <= MAX_COPIED_SIZE


class StoredRows:
    """Rows that are normalised as they are read, a mini-batch at a time.

    Parameters
    ----------
    table : Table
        Of values, no derivatives.
    X_scaling, y_scaling : AffineMap
    like : Tensor
        Of the device and dtype that they are read to.
    """

    def __init__(
        self, table: Table, X_scaling: AffineMap, y_scaling: AffineMap, like: Tensor
    ) -> None:
        self._table = table
        self._scalings = X_scaling, y_scaling
        self._like = like

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self._table.X)

    def batches(
        self, batch_size: int, generators: Sequence[torch.Generator], *, first: int = 0
    ) -> Iterator[TrainingRows]:
        """Yield mini-batches of equal size without end.

        Every epoch visits the blocks of the table in a new random order, group by group, and the
        rows of a group in random order: an order of all rows would take more memory than a network,
        and rows that are far apart take a page of a file each. Every row is visited equally often.

        Parameters
        ----------
        batch_size : int
            All rows where there are fewer.
        generators : sequence of one torch.Generator on the CPU
        first : int, default=0
            Index of the batch to begin with; those before it are drawn and not read.

        Yields
        ------
        batch : TrainingRows
        """
        (generator,) = generators
        orders = in_batches(_shuffled(self.n_rows, generator), min(batch_size, self.n_rows))
        for index in islice(orders, first, None):
            yield self._read(self._table.take(index.numpy()))

    def chunks(self) -> Iterator[TrainingRows]:
        """Yield all rows as they are ordered, some at a time."""
        for chunk in gen_batches(self.n_rows, CHUNK_SIZE):
            yield self._read(self._table.take(chunk))

    def forget_implied(self) -> None:
        """Do nothing, since all targets are data."""

    def _read(self, part: Table) -> TrainingRows:
        return TrainingRows.from_table(part, *self._scalings, self._like)


Rows = TrainingRows | StoredRows
"""What a network is trained on."""


def _shuffled(n_rows: int, draw: torch.Generator) -> Iterator[Tensor]:
    """Yield the indices of all rows, epoch after epoch, group by group."""
    while True:
        order = torch.randperm(ceil(n_rows / BLOCK_SIZE), generator=draw, device="cpu")
        for group in gen_batches(len(order), BLOCKS_OF_A_GROUP):
            blocks = order[group]
            places = torch.randperm(len(blocks) * BLOCK_SIZE, generator=draw, device="cpu")
            for chunk in gen_batches(len(places), CHUNK_SIZE):
                block, row = places[chunk] // BLOCK_SIZE, places[chunk] % BLOCK_SIZE
                rows = blocks[block] * BLOCK_SIZE + row
                yield rows[rows < n_rows]
