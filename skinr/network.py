"""The network as mathematics: sine layers, initialisation, parameter count, and stacks of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn


@dataclass(frozen=True)
class Architecture:
    """The shape of a SIREN: what its parameters do not say by themselves.

    Parameters
    ----------
    n_features : int
        Number of coordinates.
    hidden_layer_sizes : tuple of int
        Width of each hidden sine layer, at least one.
    n_outputs : int
        Number of values at each coordinate.
    output_activation : {"identity", "sine"}
        What the last layer does after its affine map.
    """

    n_features: int
    hidden_layer_sizes: tuple[int, ...]
    n_outputs: int
    output_activation: str = "identity"

    @property
    def layer_shapes(self) -> list[tuple[int, int]]:
        """The (fan_in, fan_out) of every layer, the output layer last."""
        return list(pairwise((self.n_features, *self.hidden_layer_sizes, self.n_outputs)))

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases of one network."""
        return sum((fan_in + 1) * fan_out for fan_in, fan_out in self.layer_shapes)

    @property
    def favours_reverse_mode(self) -> bool:
        """Whether a pass for each output takes no more products than one for each coordinate."""
        return self.n_outputs <= self.n_features

    def is_sine(self, layer: int) -> bool:
        """Return whether a layer's affine map is followed by a sine; -1 is the output layer."""
        is_hidden = 0 <= layer < len(self.hidden_layer_sizes)
        return is_hidden or self.output_activation == "sine"

    def layer_frequencies(self, omega_0: float, hidden_omega_0: float) -> list[float]:
        """Return the factor of every layer's pre-activation; 1 for a linear output layer."""
        hidden = [hidden_omega_0] * (len(self.hidden_layer_sizes) - 1)
        output = hidden_omega_0 if self.is_sine(-1) else 1.0
        return [omega_0, *hidden, output]


class Siren(nn.Module):
    r"""A multilayer perceptron with sine activations, a plain torch module on coordinates.

    Every hidden layer computes :math:`\sin(\omega (W x + b))` ([1]_, section 3.1 and the
    frequency factor of section 3.2 and supplement 1.5). The frequencies are not trained.

    Parameters
    ----------
    architecture : Architecture
        Number of coordinates, widths, number of outputs, output activation.
    omega_0 : float
        Frequency of the first layer, in radians per unit of a coordinate and unit of weight.
    hidden_omega_0 : float
        Frequency of the other sine layers.
    device, dtype : torch device and dtype, optional
        Where the parameters live, and in which precision.

    Attributes
    ----------
    architecture : Architecture
    omega_0, hidden_omega_0 : float
    linears : torch.nn.ModuleList
        The affine maps, the output layer last.

    Notes
    -----
    It is what the `network_` of a fitted estimator is. The parameters of a new one are not
    initialised: `skinr.network.SirenStack.initialize` draws them.

    References
    ----------
    .. [1] Sitzmann, Martel, Bergman, Lindell, Wetzstein. Implicit Neural Representations with
       Periodic Activation Functions. NeurIPS 2020. arXiv:2006.09661.
    """

    def __init__(
        self,
        architecture: Architecture,
        omega_0: float,
        hidden_omega_0: float,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.omega_0 = omega_0
        self.hidden_omega_0 = hidden_omega_0
        self.linears = nn.ModuleList(
            _UnsetLinear(fan_in, fan_out, device=device, dtype=dtype)
            for fan_in, fan_out in architecture.layer_shapes
        )

    def layer_activations(self, coordinates: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every layer's pre-activation ω(Wx + b) and its activation.

        Parameters
        ----------
        coordinates : Tensor of shape (..., n_features)

        Yields
        ------
        pre_activation, activation : Tensor of shape (..., fan_out)
        """
        activation = coordinates
        frequencies = self.architecture.layer_frequencies(self.omega_0, self.hidden_omega_0)
        for index, (layer, frequency) in enumerate(zip(self.linears, frequencies, strict=True)):
            pre_activation = frequency * layer(activation)
            is_sine = self.architecture.is_sine(index)
            activation = torch.sin(pre_activation) if is_sine else pre_activation
            yield pre_activation, activation

    def forward(self, coordinates: Tensor) -> Tensor:
        """Evaluate the network.

        Parameters
        ----------
        coordinates : Tensor of shape (..., n_features)

        Returns
        -------
        values : Tensor of shape (..., n_outputs)
        """
        *_, (_, values) = self.layer_activations(coordinates)
        return values


class SirenStack:
    r"""K networks of one architecture, evaluated and differentiated as one batch.

    A layer is kept as :math:`\sin(W' x + b')` with :math:`W' = \omega W` and
    :math:`b' = \omega b`: the frequency is folded into the parameters, so networks of different
    frequencies share one batched product, and an update rule that is scaled by `frequencies`
    moves W' exactly as it would have moved W.

    Parameters
    ----------
    architecture : Architecture
        The shape that the K networks share.
    omega_0, hidden_omega_0 : sequence of K floats
        The frequencies of each network.
    parameters : Tensor of shape (K, n_parameters)
        For each network its layers in order, each as weights (fan_in, fan_out), then biases.

    Attributes
    ----------
    frequencies : Tensor of shape (K, n_parameters)
        The factor that was folded into each parameter.
    """

    def __init__(
        self,
        architecture: Architecture,
        omega_0: Sequence[float],
        hidden_omega_0: Sequence[float],
        parameters: Tensor,
    ) -> None:
        self.architecture = architecture
        self.omega_0 = tuple(omega_0)
        self.hidden_omega_0 = tuple(hidden_omega_0)
        self.parameters = parameters
        self.frequencies = torch.ones_like(parameters)
        for k, omegas in enumerate(zip(self.omega_0, self.hidden_omega_0, strict=True)):
            factors = architecture.layer_frequencies(*omegas)
            for layer, factor in zip(self.layers(self.frequencies), factors, strict=True):
                for view in layer:
                    view[k] = factor

    def __len__(self) -> int:
        """Return the number K of networks."""
        return len(self.parameters)

    @classmethod
    def initialize(
        cls,
        architecture: Architecture,
        omega_0: Sequence[float],
        hidden_omega_0: Sequence[float],
        generators: Sequence[torch.Generator],
        *,
        first_layer_init: str = "paper",
        weight_scale: float = 1.0,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> SirenStack:
        r"""Draw the initial parameters of K networks, each from its own generator.

        With n the fan_in of a layer, weights are uniform in :math:`\pm 1/n` ("paper") or
        :math:`\pm\sqrt{1/n}` ("lecture") in the first layer and in
        :math:`\pm\sqrt{6/n}/\omega_h` in the others ([1]_, section 3.2); `weight_scale` multiplies
        them in every layer but the last ([2]_, section 4). Biases are uniform in
        :math:`\pm\sqrt{1/n}`, as in the code that accompanies [1]_.

        Parameters
        ----------
        architecture : Architecture
        omega_0, hidden_omega_0 : sequence of K floats
        generators : sequence of K torch.Generator on the CPU
            The draws are made on the CPU, so that they do not depend on the device.
        first_layer_init : {"paper", "lecture"}
        weight_scale : float
        device, dtype : torch device and dtype, optional

        Returns
        -------
        stack : SirenStack

        References
        ----------
        .. [1] Sitzmann et al. Implicit Neural Representations with Periodic Activation Functions.
           NeurIPS 2020.
        .. [2] Yeom, Lee, Lee. Fast Training of Sinusoidal Neural Fields via Scaling
           Initialization. ICLR 2025.
        """
        drawn = torch.empty(
            len(generators), architecture.n_parameters, device="cpu", dtype=torch.float32
        )
        stack = cls(architecture, omega_0, hidden_omega_0, drawn)
        last = len(architecture.layer_shapes) - 1
        for k, generator in enumerate(generators):
            for index, (weight, bias) in enumerate(stack.layers(drawn)):
                fan_in = weight.shape[1]
                if index > 0:
                    bound = sqrt(6 / fan_in) / hidden_omega_0[k]
                else:
                    bound = 1 / fan_in if first_layer_init == "paper" else sqrt(1 / fan_in)
                if index < last:
                    bound *= weight_scale
                weight[k].uniform_(-bound, bound, generator=generator)
                bias[k].uniform_(-sqrt(1 / fan_in), sqrt(1 / fan_in), generator=generator)
        folded = (drawn * stack.frequencies).to(device=device, dtype=dtype)
        return cls(architecture, omega_0, hidden_omega_0, folded)

    @classmethod
    def from_networks(
        cls, networks: Sequence[Siren], dtype: torch.dtype | None = None
    ) -> SirenStack:
        """Stack networks of one architecture; the inverse of :meth:`network`.

        Parameters
        ----------
        networks : sequence of K Siren
        dtype : torch dtype, optional

        Returns
        -------
        stack : SirenStack
        """
        rows = [
            torch.cat(
                [part.detach().ravel() for layer in network.linears for part in _parameters(layer)]
            )
            for network in networks
        ]
        stack = cls(
            networks[0].architecture,
            [network.omega_0 for network in networks],
            [network.hidden_omega_0 for network in networks],
            torch.stack(rows).to(dtype),
        )
        stack.parameters *= stack.frequencies
        return stack

    @classmethod
    def join(cls, stacks: Sequence[SirenStack]) -> SirenStack:
        """Put stacks of one architecture together, in a copy.

        Parameters
        ----------
        stacks : sequence of SirenStack

        Returns
        -------
        stack : SirenStack
        """
        return cls(
            stacks[0].architecture,
            [omega for stack in stacks for omega in stack.omega_0],
            [omega for stack in stacks for omega in stack.hidden_omega_0],
            torch.cat([stack.parameters for stack in stacks]),
        )

    def to(self, device: torch.device, dtype: torch.dtype) -> SirenStack:
        """Return the stack elsewhere or in another precision; itself where nothing changes."""
        parameters = self.parameters.to(device, dtype)
        if parameters is self.parameters:
            return self
        return SirenStack(self.architecture, self.omega_0, self.hidden_omega_0, parameters)

    def take(self, *networks: int) -> SirenStack:
        """Return a copy of some networks as a stack."""
        return SirenStack(
            self.architecture,
            [self.omega_0[k] for k in networks],
            [self.hidden_omega_0[k] for k in networks],
            self.parameters[list(networks)],
        )

    def with_scaled_features(self, factors: ArrayLike) -> SirenStack:
        """Return a copy whose first weights of each feature are multiplied by a factor."""
        parameters = self.parameters.clone()
        weight, _ = self.layers(parameters)[0]
        weight.mul_(weight.new_tensor(factors)[:, None])
        return SirenStack(self.architecture, self.omega_0, self.hidden_omega_0, parameters)

    def network(self, k: int) -> Siren:
        """Return network k as a plain module, its frequencies no longer folded.

        Parameters
        ----------
        k : int
            Index of the network, 0 <= k < K.

        Returns
        -------
        network : Siren
        """
        unfolded = self.parameters / self.frequencies
        network = Siren(
            self.architecture,
            self.omega_0[k],
            self.hidden_omega_0[k],
            unfolded.device,
            unfolded.dtype,
        )
        with torch.no_grad():
            for layer, (weight, bias) in zip(network.linears, self.layers(unfolded), strict=True):
                transposed, intercept = _parameters(layer)
                transposed.copy_(weight[k])
                intercept.copy_(bias[k, 0])
        return network

    def layers(self, flat: Tensor) -> list[tuple[Tensor, Tensor]]:
        """View a (K, n_parameters) tensor as weights and biases.

        Parameters
        ----------
        flat : Tensor of shape (K, n_parameters)
            Parameters, gradients, or anything else that there is one of for each parameter.

        Returns
        -------
        layers : list of (Tensor (K, fan_in, fan_out), Tensor (K, 1, fan_out))
        """
        views, start = [], 0
        for fan_in, fan_out in self.architecture.layer_shapes:
            middle, end = start + fan_in * fan_out, start + (fan_in + 1) * fan_out
            weight = flat[:, start:middle].view(-1, fan_in, fan_out)
            views.append((weight, flat[:, middle:end].view(-1, 1, fan_out)))
            start = end
        return views


class _UnsetLinear(nn.Linear):
    """A layer whose parameters are set later."""

    def reset_parameters(self) -> None:
        """Draw no random numbers."""


def _parameters(layer: nn.Module) -> tuple[Tensor, Tensor]:
    assert isinstance(layer, nn.Linear)
    return layer.weight.T, layer.bias
