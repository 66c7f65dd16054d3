"""The rows that a network is fitted to: their canonical form, tensors and mini-batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import gen_batches
from torch import Tensor, nn

from skinr.scaling import CHUNK_SIZE, AffineMap

MAX_CANONICAL_SIZE = 100_000
"""Tables of up to so many numbers are brought to canonical form before training."""

LARGEST_WEIGHT = 1e290
"""Largest weight of which any number of rows has a finite sum."""

Array = NDArray[Any]
Weight = NDArray[np.float64] | None


class Table(NamedTuple):
    """Coordinates, values and weights in the user's units.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features)
    y : ndarray of shape (n_rows, n_columns)
        What the rows are fitted to; NaN marks a target that a row does not have.
    weight : ndarray of shape (n_rows,) or None
        Positive weights of mean 1; None where all are equal.
    implied : ndarray of bool of shape (n_rows, n_columns) or None
        Which entries of `y` are no data but were computed from derivatives.
    """

    X: Array
    y: Array
    weight: Weight = None
    implied: NDArray[np.bool_] | None = None

    @classmethod
    def canonical(cls, X: Array, y: Array, weight: Weight) -> Table:
        """Bring rows to a form in which a weight and a repetition are the same thing.

        Rows without weight are dropped. In tables of up to `MAX_CANONICAL_SIZE` numbers, equal
        rows are merged, their weights summed, and the rest is sorted. So training does not depend
        on the order of the rows, and integer weights give the bits that repeated rows give.

        Parameters
        ----------
        X : ndarray of shape (n_rows, n_features)
        y : ndarray of shape (n_rows, n_columns)
        weight : ndarray of shape (n_rows,) or None
            Non-negative, at least one of them positive.

        Returns
        -------
        table : Table
        """
        if weight is not None and not weight.all():
            kept = weight > 0
            X, y, weight = X[kept], y[kept], weight[kept]
        if weight is not None and weight.max() > LARGEST_WEIGHT:
            weight = weight / weight.max()
        if X.size + y.size <= MAX_CANONICAL_SIZE:
            X, y, weight = _merge_equal_rows(X, y, weight)
        if weight is not None:
            weight = None if np.ptp(weight) == 0 else weight / weight.mean()
        return cls(X, y, weight)

    @property
    def weights(self) -> NDArray[np.float64]:
        """The weights, of 1 where there are none."""
        return np.ones(len(self.X)) if self.weight is None else self.weight

    def take(self, index: NDArray[np.intp] | slice) -> Table:
        """Return the rows at `index`: a view for a slice, else a copy."""
        weight = None if self.weight is None else self.weight[index]
        implied = None if self.implied is None else self.implied[index]
        return Table(self.X[index], self.y[index], weight, implied)


def _merge_equal_rows(X: Array, y: Array, weight: Weight) -> tuple[Array, Array, Weight]:
    weight = np.ones(len(X)) if weight is None else weight
    columns = np.column_stack([y, X])
    order = np.lexsort((weight, *columns.T))
    columns = columns[order]
    above, below = columns[:-1], columns[1:]
    equal = (below == above) | (np.isnan(below) & np.isnan(above))
    first = np.r_[True, ~equal.all(axis=1)]
    kept = order[first]
    return X[kept], y[kept], np.add.reduceat(weight[order], np.flatnonzero(first))


class TrainingRows(NamedTuple):
    """Normalised rows as tensors, with a leading axis of one set for each network, or of 1.

    Parameters
    ----------
    coordinates : Tensor of shape (K or 1, n_rows, n_features)
    targets : Tensor of shape (K or 1, n_rows, n_columns)
        NaN marks a target that a row does not have.
    weight : Tensor of shape (K or 1, n_rows, 1) or None
        Non-negative weights, of mean 1 over the table that rows are from.
    implied : Tensor of bool of the shape of `targets`, or None
        Targets that are no data but a guide for the first updates.
    lengths : tuple of K ints or None
        The number of rows of each set, where they differ; what comes after them does not count.
    own : Tensor of int of shape (K, n_own) or None
        Index of the rows of one set that each network is fitted to, where not to all.
    """

    coordinates: Tensor
    targets: Tensor
    weight: Tensor | None = None
    implied: Tensor | None = None
    lengths: tuple[int, ...] | None = None
    own: Tensor | None = None

    @classmethod
    def from_table(
        cls,
        table: Table,
        X_scaling: AffineMap,
        y_scaling: AffineMap,
        like: Tensor,
    ) -> TrainingRows:
        """Normalise a table into tensors, chunk by chunk.

        Parameters
        ----------
        table : Table
        X_scaling, y_scaling : AffineMap
        like : Tensor
            Of the device and dtype that they are to have.

        Returns
        -------
        rows : TrainingRows
            With leading axes of length 1.
        """
        return cls(
            to_tensor(table.X, X_scaling, like)[None],
            to_tensor(table.y, y_scaling, like)[None],
            None
            if table.weight is None
            else torch.as_tensor(table.weight, device=like.device, dtype=like.dtype)[None, :, None],
            None
            if table.implied is None
            else torch.as_tensor(table.implied, device=like.device)[None],
        )

    @classmethod
    def join(cls, sets: Sequence[TrainingRows], batch_size: int) -> TrainingRows:
        """Put sets side by side, one for each network, the shorter ones filled up.

        Mini-batches never draw the rows that fill a set up, and they have no weight where the
        whole is one batch: each network is fitted to its own rows, as it would be alone.

        Parameters
        ----------
        sets : sequence of K TrainingRows
            Of values, no derivatives: with leading axes of length 1, and nothing implied.
        batch_size : int
            Either all sets have more rows than that, or none has.

        Returns
        -------
        rows : TrainingRows
        """
        lengths = tuple(rows.n_rows for rows in sets)
        longest = max(lengths)
        is_uneven = min(lengths) < longest

        def join(parts: Iterable[Tensor]) -> Tensor:
            return torch.cat(
                [nn.functional.pad(part, (0, 0, 0, longest - part.shape[1])) for part in parts]
            )

        weight = None
        fills_batch = is_uneven and longest <= batch_size
        if fills_batch or any(rows.weight is not None for rows in sets):
            weight = join(
                (torch.ones_like(rows.coordinates[..., :1]) if rows.weight is None else rows.weight)
                * (longest / rows.n_rows if fills_batch else 1)
                for rows in sets
            )
        return cls(
            join(rows.coordinates for rows in sets),
            join(rows.targets for rows in sets),
            weight,
            lengths=lengths if is_uneven else None,
        )

    @property
    def n_rows(self) -> int:
        """Number of rows of each network, the longest set's where they differ."""
        return (self.coordinates if self.own is None else self.own).shape[1]

    def of_network(self, k: int) -> TrainingRows:
        """Return the rows that a network is fitted to, of those that all have in common."""
        return self if self.own is None else self._at(self.own[k : k + 1])

    def chunks(self) -> Iterator[TrainingRows]:
        """Yield all rows, without what is implied, some at a time."""
        for chunk in gen_batches(self.coordinates.shape[1], CHUNK_SIZE):
            weight = None if self.weight is None else self.weight[:, chunk]
            yield TrainingRows(self.coordinates[:, chunk], self.targets[:, chunk], weight)

    def without_implied(self) -> TrainingRows:
        """Return the rows with those targets alone that are data."""
        if self.implied is None:
            return self
        return self._replace(targets=self.targets.masked_fill(self.implied, torch.nan))

    def forget_implied(self) -> None:
        """Leave the targets that are no data out of what is fitted from here on."""
        if self.implied is not None:
            self.targets.masked_fill_(self.implied, torch.nan)

    def batches(
        self, batch_size: int, generators: Sequence[torch.Generator], *, first: int = 0
    ) -> Iterator[TrainingRows]:
        """Yield mini-batches of equal size without end; the whole where it fits into one.

        Every epoch visits the rows in a new random order, and a batch that outlasts one epoch is
        filled from the next, so that every row is visited equally often.

        Parameters
        ----------
        batch_size : int
        generators : sequence of K torch.Generator on the CPU
            Each draws the order of one network's rows.
        first : int, default=0
            Index of the batch to begin with; those before it are drawn and not taken.

        Yields
        ------
        batch : TrainingRows
        """
        if batch_size >= self.n_rows:
            while True:
                yield self if self.own is None else self._at(self.own)
        lengths = self.lengths or [self.n_rows] * len(generators)
        orders = [
            islice(in_batches(_epochs(n_rows, generator), batch_size), first, None)
            for n_rows, generator in zip(lengths, generators, strict=True)
        ]
        while True:
            drawn = torch.stack([next(order) for order in orders])
            index = _send(drawn, self.coordinates.device)
            yield self._at(index if self.own is None else self.own.gather(1, index))

    def _at(self, index: Tensor) -> TrainingRows:
        """Take rows `index` (K, B) of each set."""
        return TrainingRows(
            _take(self.coordinates, index),
            _take(self.targets, index),
            None if self.weight is None else _take(self.weight, index),
        )


def to_tensor(table: Array, scaling: AffineMap, like: Tensor) -> Tensor:
    """Normalise an array into a tensor, chunk by chunk.

    Parameters
    ----------
    table : ndarray of shape (n_rows, n_columns)
    scaling : AffineMap
    like : Tensor
        Of the device and dtype that it is to have.

    Returns
    -------
    normalized : Tensor of shape (n_rows, n_columns)
    """
    normalized = torch.empty(table.shape, dtype=like.dtype, device="cpu")
    for chunk in gen_batches(len(table), CHUNK_SIZE):
        normalized[chunk] = torch.from_numpy(scaling.normalize(table[chunk]))
    return _send(normalized, like.device)


def in_batches(pieces: Iterator[Tensor], batch_size: int) -> Iterator[Tensor]:
    """Divide an endless sequence of pieces into batches of equal size.

    Parameters
    ----------
    pieces : iterator of Tensor of shape (n,)
    batch_size : int

    Yields
    ------
    batch : Tensor of shape (batch_size,)
    """
    rest = next(pieces)
    while True:
        while len(rest) < batch_size:
            rest = torch.cat([rest, next(pieces)])
        batch, rest = rest[:batch_size], rest[batch_size:]
        yield batch


def _epochs(n_rows: int, draw: torch.Generator) -> Iterator[Tensor]:
    while True:
        yield torch.randperm(n_rows, generator=draw, device="cpu")


def _send(part: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor of the CPU to a device, without waiting for what a GPU is at."""
    if device.type == "cuda":
        return part.pin_memory().to(device, non_blocking=True)
    return part.to(device)


def _take(part: Tensor, index: Tensor) -> Tensor:
    """Take rows `index` (K, B) of a (K or 1, n_rows, n_columns) tensor."""
    n_sets, n_rows, n_columns = part.shape
    offset = torch.arange(n_sets, device=part.device)[:, None] * n_rows
    rows = part.reshape(-1, n_columns).index_select(0, (index + offset).ravel())
    return rows.view(-1, index.shape[1], n_columns)
