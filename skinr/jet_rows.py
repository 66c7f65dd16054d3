"""Rows of a small table beside the jets that a network should have there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from skinr.jet_algebra import QuadraticForm


class JetRows(NamedTuple):
    """Normalised rows, and what their values and derivatives are to be.

    Parameters
    ----------
    coordinates : Tensor of shape (n_rows, n_features)
    targets : Tensor of shape (C, n_rows, n_outputs)
        Values, and where there are derivatives, those by each feature and what the operators give.
    root_weight : Tensor of shape (C, n_rows, n_outputs)
        What errors are multiplied with before they are squared; 0 where a target is unknown.
    operators : sequence of QuadraticForm, default=()
    """

    coordinates: Tensor
    targets: Tensor
    root_weight: Tensor
    operators: Sequence[QuadraticForm] = ()

    @property
    def n_known(self) -> int:
        """Number of known targets."""
        return int(self.root_weight.count_nonzero())

    def thinned(self, n_rows: int) -> JetRows:
        """Return `n_rows` rows drawn at random, always the same ones, or all if there are fewer.

        Rows that count more are the more likely to be drawn.
        """
        return self if len(self.coordinates) <= n_rows else self.parted(n_rows)[0]

    def parted(self, n_rows: int) -> tuple[JetRows, JetRows]:
        """Return `n_rows` rows, those of :meth:`thinned`, and the others."""
        order = self._drawn()
        return self._take(order[:n_rows]), self._take(order[n_rows:])

    def _drawn(self) -> Tensor:
        """Return the order in which rows are drawn by weight ([1]_), without replacement.

        References
        ----------
        .. [1] Efraimidis, Spirakis. Weighted random sampling with a reservoir. Information
           Processing Letters 97, 2006.
        """
        draw, n_rows = torch.Generator().manual_seed(0), len(self.coordinates)
        weight = self.root_weight.amax(dim=(0, 2)).square()
        if weight.min() == weight.max():
            return torch.randperm(n_rows, generator=draw, device="cpu")
        uniform = torch.rand(n_rows, generator=draw, device="cpu", dtype=torch.float64)
        return (uniform.log() / weight).argsort(descending=True)

    def with_few_outputs(self, n_numbers: int) -> JetRows:
        """Mask all outputs but as many as have at most `n_numbers` targets together.

        At least one is left; drawn at random, always the same ones, from those that vary most.
        """
        n_components, n_rows, n_outputs = self.targets.shape
        n_known = max(1, n_numbers // (n_components * n_rows))
        if n_known >= n_outputs:
            return self
        draw = torch.Generator().manual_seed(0)
        power = (self.targets * self.root_weight).square().sum(dim=(0, 1))
        varies_less = (power < power.max() / 2).int()
        drawn = torch.randperm(n_outputs, generator=draw, device="cpu")
        known = drawn[varies_less[drawn].argsort(stable=True)[:n_known]]
        is_known = torch.zeros(n_outputs, dtype=torch.bool, device="cpu").scatter_(0, known, True)
        return self._replace(root_weight=self.root_weight * is_known)

    def with_outputs_of(self, other: JetRows) -> JetRows:
        """Mask what no row of another table knows."""
        known = other.root_weight.any(dim=1, keepdim=True)
        return self._replace(root_weight=self.root_weight * known)

    def without_empty(self) -> JetRows:
        """Return the rows of which anything is known."""
        is_known = self.root_weight.any(dim=2).any(dim=0)
        return self if is_known.all() else self._take(is_known)

    def _take(self, index: Tensor) -> JetRows:
        return JetRows(
            self.coordinates[index],
            self.targets[:, index],
            self.root_weight[:, index],
            self.operators,
        )
