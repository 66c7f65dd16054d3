"""Objectives: losses, summed over rows, and their derivatives by the parameters of a stack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, sqrt
from typing import NamedTuple

import torch
from torch import Tensor

from skinr.cuda_graphs import capture
from skinr.jet_algebra import QuadraticForm
from skinr.jet_rows import JetRows
from skinr.jets import evaluate_jets, make_jet_pass
from skinr.losses import LOSSES
from skinr.network import SirenStack
from skinr.passes import StackPass, evaluate
from skinr.rows import TrainingRows
from skinr.stored_rows import Rows


class Objective:
    r"""Mean loss over weighted rows and outputs, plus :math:`\alpha/2` times the squared weights.

    Parameters
    ----------
    stack : SirenStack
        What is fitted, in place, by whoever takes the steps.
    loss : {"squared_error", "absolute_error", "huber"}
    alpha : float or sequence of K floats
        Strength of the L2 penalty on the weights W, the frequencies not folded; biases are free.
    anchor : Tensor of shape (K, n_parameters), optional
        Folded parameters, the distance to which is penalised instead, in weights and biases.
    """

    def __init__(
        self,
        stack: SirenStack,
        loss: str,
        alpha: float | Sequence[float],
        anchor: Tensor | None = None,
    ) -> None:
        self._loss = LOSSES[loss]
        self.stack = stack
        self._anchor = anchor
        self._batch_size = 0
        self._decay: Tensor | None = None
        alphas = stack.parameters.new_tensor(alpha).reshape(-1, 1)
        if (alphas > 0).any():
            self._decay = alphas / stack.frequencies.square()
            if anchor is None:
                for _, bias in stack.layers(self._decay):
                    bias.zero_()

    def evaluate(self, coordinates: Tensor) -> Tensor:
        """Return what the targets of these rows would be compared with.

        Parameters
        ----------
        coordinates : Tensor of shape (K or 1, n_rows, n_features)

        Returns
        -------
        predictions : Tensor of shape (K, n_rows, n_columns)
        """
        return evaluate(self.stack, coordinates)

    def loss_and_gradient(self, batch: TrainingRows) -> tuple[Tensor, Tensor]:
        """Return the objective of each network, and its derivative by the folded parameters.

        Parameters
        ----------
        batch : TrainingRows

        Returns
        -------
        losses : Tensor of shape (K,)
        gradient : Tensor of shape (K, n_parameters)
            A buffer, overwritten by the next call.
        """
        if batch.n_rows != self._batch_size:
            self._batch_size = batch.n_rows
            self._allocate(batch.n_rows)
            self._captured = capture(self._data_loss, batch)
        losses, gradient = (self._captured or self._data_loss)(batch)
        if self._decay is None:
            return losses, gradient
        gradient.addcmul_(self._decay, self._penalised())
        return losses + self._penalty(), gradient

    def jet_rows(self, rows: TrainingRows) -> JetRows:
        """Return the rows with the squared errors that the objective is, but for the penalty.

        Parameters
        ----------
        rows : TrainingRows
            With leading axes of length 1.

        Returns
        -------
        jet_rows : JetRows
        """
        targets = rows.targets[:1]
        weight = torch.ones_like(targets) if rows.weight is None else rows.weight.expand_as(targets)
        return JetRows(rows.coordinates[0], targets, weight.sqrt())

    def baseline(self, rows: Rows, batch_size: int) -> Tensor:
        """Return what predicting 0 would cost on the hardest batch of this size; at least 1.

        Parameters
        ----------
        rows : TrainingRows or StoredRows
        batch_size : int

        Returns
        -------
        baseline : Tensor of shape (K,)
            With the penalty of the stack as it is now.
        """
        hardest = self._hardest(rows, min(1.0, batch_size / rows.n_rows))
        return hardest.clamp_min(1.0) + self._penalty()

    def _allocate(self, batch_size: int) -> None:
        self._pass = StackPass(self.stack, batch_size)

    def _data_loss(self, batch: TrainingRows) -> tuple[Tensor, Tensor]:
        residual = self._pass.forward(batch.coordinates) - batch.targets
        weight = residual.new_ones(1) if batch.weight is None else batch.weight
        losses, output_gradient = self._loss(residual, weight)
        output_gradient *= 1 / residual[0].numel()
        if batch.weight is not None:
            losses *= batch.weight
            output_gradient *= batch.weight
        return losses.mean(dim=(1, 2)), self._pass.backward(output_gradient)

    def _hardest(self, rows: Rows, share: float) -> Tensor:
        return self._hardest_of(slice(None), rows, share)

    def _hardest_of(self, columns: slice, rows: Rows, share: float) -> Tensor:
        """Average the losses of predicting 0 over that share of the known targets that is worst."""
        worst: list[Tensor] = []
        n_known = torch.zeros(
            len(self.stack), dtype=torch.int64, device=self.stack.parameters.device
        )
        for chunk in rows.chunks():
            targets = chunk.targets[..., columns]
            known = ~targets.isnan()
            weight = known.to(targets.dtype)
            if chunk.weight is not None:
                weight = weight * chunk.weight
            losses = self._loss(targets.nan_to_num(0.0), weight)[0] * weight
            losses = torch.cat([*worst, losses.flatten(1)], dim=1)
            most = ceil(share * rows.n_rows * targets.shape[2])
            worst = [losses.topk(min(most, losses.shape[1])).values]
            n_known += known.sum(dim=(1, 2))
        n_worst = ceil(share * int(n_known.amax()))
        return worst[0][:, :n_worst].sum(dim=1) / max(n_worst, 1)

    def _penalty(self) -> Tensor:
        if self._decay is None:
            return self.stack.parameters.new_zeros(len(self.stack))
        return (self._decay * self._penalised().square()).sum(dim=1) / 2

    def _penalised(self) -> Tensor:
        parameters = self.stack.parameters
        return parameters if self._anchor is None else parameters - self._anchor


class Term(NamedTuple):
    """One kind of target in an objective with derivatives: the values, the gradient, ...

    Parameters
    ----------
    components : slice
        Where jets have it.
    columns : slice
        Where the targets have it: for each component its outputs.
    unit : Tensor of shape (n_outputs,)
        What the components of a jet are divided by to be compared with the targets.
    weight : float
        Of this term in the sum.
    """

    components: slice
    columns: slice
    unit: Tensor
    weight: float


class JetObjective(Objective):
    r"""Sum of the mean losses of values and derivatives, plus the penalty of :class:`Objective`.

    Each term is the weighted mean over those targets of its kind that a batch has; NaN marks a
    target that a row does not have.

    Parameters
    ----------
    stack : SirenStack
    loss : {"squared_error", "absolute_error", "huber"}
    alpha : float or sequence of K floats
    terms : sequence of Term
    operators : sequence of QuadraticForm
        The second-order components of the jets.
    """

    def __init__(
        self,
        stack: SirenStack,
        loss: str,
        alpha: float | Sequence[float],
        terms: Sequence[Term],
        operators: Sequence[QuadraticForm],
    ) -> None:
        super().__init__(stack, loss, alpha)
        self._terms = terms
        self._operators = operators

    def evaluate(self, coordinates: Tensor) -> Tensor:
        """Return what the targets of these rows would be compared with, NaN or not."""
        jets = evaluate_jets(self.stack, coordinates, self._operators)
        parts = [jets[:, :, term.components] / term.unit for term in self._terms]
        return torch.cat([part.flatten(2) for part in parts], dim=2)

    def jet_rows(self, rows: TrainingRows) -> JetRows:
        """Return the rows with the squared errors that the objective is, but for the penalty."""
        architecture = self.stack.architecture
        n_components = 1 + architecture.n_features + len(self._operators)
        targets = rows.targets.new_zeros(n_components, rows.n_rows, architecture.n_outputs)
        root_weight = torch.zeros_like(targets)
        for term, part, share in self._shares(rows):
            targets[term.components] = part[0] * term.unit
            root_weight[term.components] = share[0].sqrt() / term.unit
        root_weight *= sqrt(int(root_weight.count_nonzero()))
        return JetRows(rows.coordinates[0], targets, root_weight, self._operators)

    def _allocate(self, batch_size: int) -> None:
        self._jet_pass = make_jet_pass(self.stack, batch_size, self._operators)

    def _data_loss(self, batch: TrainingRows) -> tuple[Tensor, Tensor]:
        jets = self._jet_pass.forward(batch.coordinates)
        jet_gradient = torch.zeros_like(jets)
        losses = jets.new_zeros(len(jets))
        for term, targets, share in self._shares(batch):
            residual = jets[:, term.components] / term.unit - targets
            loss, derivative = self._loss(residual, share)
            losses += (share * loss).sum(dim=(1, 2, 3))
            jet_gradient[:, term.components] = share * derivative / term.unit
        return losses, self._jet_pass.backward(jet_gradient)

    def _shares(self, batch: TrainingRows) -> Iterator[tuple[Term, Tensor, Tensor]]:
        """Yield each term with its targets and how much each counts, (K or 1, c, B, n_outputs)."""
        for term in self._terms:
            columns = batch.targets[..., term.columns]
            targets = columns.view(*columns.shape[:2], -1, len(term.unit)).transpose(1, 2)
            share = (~targets.isnan()).to(targets.dtype)
            if batch.weight is not None:
                share = share * batch.weight[:, None]
            share *= term.weight / share.sum(dim=(1, 2, 3), keepdim=True).clamp_min(1e-30)
            yield term, targets.nan_to_num(0.0), share

    def _hardest(self, rows: Rows, share: float) -> Tensor:
        total = self.stack.parameters.new_zeros(1)
        for term in self._terms:
            total = total + term.weight * self._hardest_of(term.columns, rows, share)
        return total
