"""What the file of a saved model holds, and what is not accepted as one."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

import skinr
from skinr.device import device_or_cpu
from skinr.ensemble import Network, SirenEnsemble
from skinr.files import ArrayInfo, Description, StoredFile
from skinr.network import Architecture, Siren
from skinr.scaling import AffineMap, Units

FORMAT = 2
"""Version of the files that are written; earlier ones can be read too."""

Y_DTYPES = {"float32": np.float32, "float64": np.float64}

N_PROBES = 4096
"""Positions at which a network is looked at."""


class FittedState(NamedTuple):
    """What a fit leaves behind, beside the parameters of the estimator.

    Parameters
    ----------
    network : Siren or SirenEnsemble
    units : Units
    losses : ndarray of shape (n_iter,)
    validation_scores : ndarray of shape (n_evaluations,) or None
    noise : ndarray of shape (n_outputs,) or None
        None where there is a single network.
    """

    network: Network
    units: Units
    losses: NDArray[np.float64]
    validation_scores: NDArray[np.float64] | None
    noise: NDArray[np.float64] | None


class NetworkShape(NamedTuple):
    """What there is of a network beside its weights and frequencies.

    Parameters
    ----------
    architecture : Architecture
        Of each member.
    n_members : int
    """

    architecture: Architecture
    n_members: int

    @classmethod
    def read(cls, description: Description) -> NetworkShape:
        """Read the description of a file; files of format 1 have one member."""
        network = _entry(description, "network", dict)
        sizes = _entry(network, "hidden_layer_sizes", list)
        n_members = network["n_members"] if description["format"] > 1 else 1
        numbers = [network["n_features"], *sizes, network["n_outputs"], n_members]
        if not sizes or any(type(number) is not int or number < 1 for number in numbers):
            raise ValueError("its layers are not of positive sizes")
        activation = network["output_activation"]
        if activation not in ("identity", "sine"):
            raise ValueError(f"its output_activation is {activation!r}")
        architecture = Architecture(numbers[0], tuple(sizes), network["n_outputs"], activation)
        return cls(architecture, n_members)

    @property
    def weights(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the weights and biases, by their names in the module."""
        state = self.empty([1.0, 1.0], torch.device("meta")).state_dict()
        return {name: tuple(part.shape) for name, part in state.items()}

    def empty(self, omegas: list[float], device: torch.device) -> Network:
        """Return a network of this shape, its weights not set."""
        omega_0, hidden_omega_0 = omegas
        members = [
            Siren(self.architecture, omega_0, hidden_omega_0, device, torch.float32)
            for _ in range(self.n_members)
        ]
        return SirenEnsemble(members) if self.n_members > 1 else members[0]


class SavedModel(NamedTuple):
    """A model as its file has it.

    Parameters
    ----------
    parameters : dict
        Of the estimator, not checked.
    state : FittedState
    feature_names : ndarray of shape (n_features,) or None
    """

    parameters: dict[str, Any]
    state: FittedState
    feature_names: NDArray[np.object_] | None


def read_model(file: StoredFile, estimator: str) -> SavedModel:
    """Read a saved model, and refuse what is none.

    Arrays are read, and networks allocated, once they are known to be as large as they should be.

    Parameters
    ----------
    file : StoredFile
    estimator : str
        The name of its class.

    Raises
    ------
    ValueError, KeyError, TypeError
        For what does not fit together.
    """
    description = file.description
    _check_format(description, estimator)
    parameters, shape = _parameters(description), NetworkShape.read(description)
    names = _feature_names(description, shape.architecture.n_features)
    _check_arrays(file.arrays, shape)
    return SavedModel(parameters, _fitted_state(description, shape, file.read()), names)


def _entry(description: Description, name: str, kind: type) -> Any:
    """Return an entry of a description that has to be of one type."""
    value = description[name]
    if type(value) is not kind:
        raise TypeError(f"its {name} is of type {type(value).__name__}, not {kind.__name__}")
    return value


def _parameters(description: Description) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in _entry(description, "parameters", dict).items()
    }


def _check_format(description: Description, estimator: str) -> None:
    version = _entry(description, "format", int)
    if version < 1:
        raise ValueError(f"its format is {version}")
    if version > FORMAT:
        raise ValueError(
            f"it has format {version}, and this version of skinr, {skinr.__version__}, knows "
            f"formats up to {FORMAT}; a newer skinr reads it"
        )
    saved = _entry(description, "estimator", str)
    if saved != estimator:
        raise ValueError(f"it holds a {saved}, not a {estimator}")


def _feature_names(description: Description, n_features: int) -> NDArray[np.object_] | None:
    if description["feature_names"] is None:
        return None
    names = _entry(description, "feature_names", list)
    if len(names) != n_features or not all(type(name) is str for name in names):
        raise ValueError(f"its feature names are not {n_features} texts")
    return np.array(names, dtype=object)


def _check_arrays(arrays: dict[str, ArrayInfo], shape: NetworkShape) -> None:
    """Refuse a file whose arrays are not those of the network that it describes."""
    if shape.n_members > len(arrays):
        raise ValueError(f"it has {len(arrays)} arrays for {shape.n_members} networks")
    architecture, weights = shape.architecture, shape.weights
    half = arrays[next(iter(weights))].dtype == np.float16
    expected = {
        name: ArrayInfo(np.dtype(np.float16 if half else np.float32), size)
        for name, size in weights.items()
    }
    if shape.n_members > 1:
        expected["noise"] = ArrayInfo(np.dtype(np.float64), (architecture.n_outputs,))
    columns = {"X": architecture.n_features, "y": architecture.n_outputs}
    for name, size in columns.items():
        for part in AffineMap._fields:
            expected[f"units.{name}.{part}"] = ArrayInfo(np.dtype(np.float64), (size,))
    for name in ("loss_curve", "validation_scores"):
        if name in arrays or name == "loss_curve":
            expected[name] = ArrayInfo(np.dtype(np.float64), (prod(arrays[name].shape),))
    for name in sorted(expected.keys() | arrays.keys()):
        if arrays.get(name) != expected.get(name):
            raise ValueError(
                f"its array {name!r} is {arrays.get(name)}, where {expected.get(name)} belongs"
            )


def unit_arrays(units: Units) -> dict[str, NDArray[np.float64]]:
    """Return the arrays of units, by their names in the file."""
    maps = {"X": units.X, "y": units.y}
    return {
        f"units.{name}.{part}": array
        for name, scaling in maps.items()
        for part, array in scaling._asdict().items()
    }


def _fitted_state(
    description: Description, shape: NetworkShape, arrays: dict[str, NDArray[Any]]
) -> FittedState:
    for name, array in arrays.items():
        is_history = name in ("loss_curve", "validation_scores")
        is_size = name == "noise" or name.endswith("scale")
        if not (is_history or np.isfinite(array).all()) or (is_size and (array < 0).any()):
            raise ValueError(f"its array {name!r} has entries that are no numbers, or negative")
    X, y = (
        AffineMap(*(arrays[f"units.{name}.{part}"] for part in AffineMap._fields)) for name in "Xy"
    )
    single_target = _entry(description, "single_target", bool)
    if single_target and shape.architecture.n_outputs > 1:
        raise ValueError("its single target has several outputs")
    units = Units(X, y, single_target, Y_DTYPES[_entry(description, "y_dtype", str)])
    omegas = [_entry(description["network"], name, float) for name in ("omega_0", "hidden_omega_0")]
    float32 = torch.finfo(torch.float32)
    if not all(float32.tiny <= omega <= float32.max for omega in omegas):
        raise ValueError(f"its frequencies are {omegas}")
    device = device_or_cpu(_entry(description, "device", str))
    network = shape.empty(omegas, device)
    network.load_state_dict(
        {name: torch.from_numpy(arrays[name].astype(np.float32)) for name in shape.weights}
    )
    if not probe(network).isfinite().all():
        raise ValueError("its weights are so large that its values are not finite")
    return FittedState(
        network, units, arrays["loss_curve"], arrays.get("validation_scores"), arrays.get("noise")
    )


def probe(network: Network) -> torch.Tensor:
    """Evaluate a network at random positions in [-1, 1] of each coordinate."""
    draw = torch.Generator().manual_seed(0)
    shape, dtype = (N_PROBES, network.architecture.n_features), torch.float32
    coordinates = 2 * torch.rand(shape, generator=draw, dtype=dtype, device="cpu") - 1
    with torch.no_grad():
        values: torch.Tensor = network(coordinates.to(next(network.parameters())))
    return values.cpu().double()
