"""Ensembles: networks of one architecture whose mean is the function."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from skinr.network import Siren, SirenStack


class SirenEnsemble(nn.Module):
    """The mean of several networks, a plain torch module on coordinates.

    Parameters
    ----------
    members : sequence of Siren
        Of one architecture and equal frequencies.

    Attributes
    ----------
    members : torch.nn.ModuleList
    architecture : Architecture
        Of each member.
    omega_0, hidden_omega_0 : float
    """

    def __init__(self, members: Sequence[Siren]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.architecture = members[0].architecture
        self.omega_0 = members[0].omega_0
        self.hidden_omega_0 = members[0].hidden_omega_0

    def layer_activations(self, coordinates: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every layer's pre-activation and activation, the members side by side.

        Parameters
        ----------
        coordinates : Tensor of shape (..., n_features)

        Yields
        ------
        pre_activation, activation : Tensor of shape (..., n_members * fan_out)
            Of the output layer the means over the members, (..., n_outputs).
        """
        layers = zip(*(member.layer_activations(coordinates) for member in self), strict=True)
        last = len(self.architecture.hidden_layer_sizes)
        for index, parts in enumerate(layers):
            before, after = (list(part) for part in zip(*parts, strict=True))
            if index == last:
                yield mean_of_members(torch.stack(before)), mean_of_members(torch.stack(after))
            else:
                yield torch.cat(before, dim=-1), torch.cat(after, dim=-1)

    def forward(self, coordinates: Tensor) -> Tensor:
        """Evaluate the mean of the networks.

        Parameters
        ----------
        coordinates : Tensor of shape (..., n_features)

        Returns
        -------
        values : Tensor of shape (..., n_outputs)
        """
        return mean_of_members(torch.stack([member(coordinates) for member in self]))

    def __iter__(self) -> Iterator[Siren]:
        """Go through the members."""
        return cast("Iterator[Siren]", iter(self.members))


Network = Siren | SirenEnsemble
"""What a fitted regressor has."""


def members_of(network: Network) -> list[Siren]:
    """Return the networks of an ensemble, or the one that there is."""
    return list(network) if isinstance(network, SirenEnsemble) else [network]


def to_stack(network: Network, dtype: torch.dtype | None = None) -> SirenStack:
    """Return a network or the members of an ensemble as a stack, in a copy."""
    return SirenStack.from_networks(members_of(network), dtype)


def to_network(stack: SirenStack) -> Network:
    """Return a stack as a plain module: its one network, or the mean of several."""
    members = [stack.network(k) for k in range(len(stack))]
    return SirenEnsemble(members) if len(members) > 1 else members[0]


def mean_of_members(values: Tensor) -> Tensor:
    """Return what an ensemble has from what its members have, (K, ...)."""
    return values.mean(dim=0)
