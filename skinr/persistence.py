"""Saving fitted models without pickle, and pickles without what only training needs."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import asdict
from math import inf, isfinite, log10, prod
from typing import Any, NamedTuple, Self

import numpy as np
import sklearn
import torch
from numpy.typing import DTypeLike, NDArray
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils.validation import check_is_fitted

import skinr
from skinr.device import resolve_device
from skinr.ensemble import Network, SirenEnsemble, members_of, to_network, to_stack
from skinr.files import ArrayInfo, Description, open_file, write_file
from skinr.network import Architecture, Siren
from skinr.scaling import AffineMap, Units

FORMAT = 2
"""Version of the files that are written; earlier ones can be read too."""

KIND = "a model saved by skinr"

Y_DTYPES = {"float32": np.float32, "float64": np.float64}

N_PROBES = 4096
"""Positions at which the function of rounded weights is compared with that of the exact ones."""

MOST_FLOAT16 = float(np.finfo(np.float16).max)


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
    def of(cls, network: Network) -> NetworkShape:
        """Look at a network."""
        return cls(network.architecture, len(members_of(network)))

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
        members = [f"members.{k}." for k in range(self.n_members)] if self.n_members > 1 else [""]
        shapes: dict[str, tuple[int, ...]] = {}
        for member in members:
            for index, (fan_in, fan_out) in enumerate(self.architecture.layer_shapes):
                shapes[f"{member}linears.{index}.weight"] = (fan_out, fan_in)
                shapes[f"{member}linears.{index}.bias"] = (fan_out,)
        return shapes

    def empty(self, omegas: list[float], device: torch.device) -> Network:
        """Return a network of this shape, its weights not set."""
        omega_0, hidden_omega_0 = omegas
        members = [
            Siren(self.architecture, omega_0, hidden_omega_0, device) for _ in range(self.n_members)
        ]
        return SirenEnsemble(members) if self.n_members > 1 else members[0]


class PersistenceMixin:
    """`save`, `load` and pickling of an estimator of networks in units."""

    _units: Units
    network_: Network
    noise_: NDArray[np.float64] | None
    loss_curve_: NDArray[np.float64]
    validation_scores_: NDArray[np.float64] | None
    device_: torch.device
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    get_params: Callable[..., dict[str, Any]]
    _validate_params: Callable[[], None]
    _set_fitted: Callable[[FittedState], None]

    def save(self, path: str | os.PathLike[str], *, dtype: DTypeLike = np.float32) -> float:
        """Write the fitted model to a file that holds no code.

        The file is a safetensors container: the arrays, and a JSON description in its header. It
        replaces an earlier one as a whole or not at all, whatever happens meanwhile.

        Parameters
        ----------
        path : path-like
        dtype : numpy dtype, default=float32
            What the weights are stored in: float32, which is exact, or float16, at half the size.

        Returns
        -------
        psnr : float
            PSNR in dB of the saved function against this one, of range one in each output, over
            4096 random positions in [-1, 1] of each normalised feature; inf where they are equal.

        Raises
        ------
        ImportError
            Without safetensors; `pip install 'skinr[persistence]'` brings it.
        NotFittedError
            Before a fit.
        ValueError
            For another dtype, for weights that float16 can't hold, or where a parameter of the
            estimator is no number, text, None or sequence of such.
        OSError
            If the file can't be written; an earlier one is then still there.
        """
        check_is_fitted(self)
        precision = np.dtype(dtype)
        if precision not in (np.float32, np.float16):
            raise ValueError(f"dtype must be float32 or float16; {dtype!r} given.")
        weights = {
            name: part.numpy(force=True) for name, part in self.network_.state_dict().items()
        }
        largest = max(float(np.abs(part).max()) for part in weights.values())
        if precision == np.float16 and largest > MOST_FLOAT16:
            raise ValueError(
                f"dtype=float16 holds weights up to {MOST_FLOAT16:.0f}; the largest of this "
                f"network is {largest:.3g}. Save it as float32."
            )
        stored = {name: part.astype(precision) for name, part in weights.items()}
        arrays = {**stored, **_unit_arrays(self._units), "loss_curve": self.loss_curve_}
        if self.validation_scores_ is not None:
            arrays["validation_scores"] = self.validation_scores_
        if self.noise_ is not None:
            arrays["noise"] = self.noise_
        network = self.network_
        shape = NetworkShape.of(network)
        omegas = [network.omega_0, network.hidden_omega_0]
        psnr = _psnr(network, _network(shape, omegas, stored, self.device_))
        write_file(path, self._description(), arrays)
        return psnr

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a model that :meth:`save` wrote; nothing of it is executed.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        model : estimator
            Fitted, on the device that it was on, or on the CPU where there is none such here.

        Raises
        ------
        ImportError
            Without safetensors.
        OSError
            If there is no such file, or it can't be read.
        ValueError
            If the file is damaged or anything else than a saved model of this class.
        """
        with open_file(path, KIND) as file:
            _check_format(file.description, cls.__name__)
            model = cls(**_parameters(file.description))
            model._validate_params()
            shape = NetworkShape.read(file.description)
            names = _feature_names(file.description, shape.architecture.n_features)
            _check_arrays(file.arrays, shape)
            model._set_fitted(_fitted_state(file.description, shape, file.read()))
        model.n_features_in_ = shape.architecture.n_features
        if names is not None:
            model.feature_names_in_ = names
        return model

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to pickle: on the CPU, without what only training needs."""
        state: dict[str, Any] = dict(super().__getstate__())  # type: ignore[call-overload]
        if "network_" in state:
            stack = to_stack(state["network_"])
            state["network_"] = to_network(stack.to(torch.device("cpu"), stack.parameters.dtype))
        state.pop("_adam_state", None)
        return state | {"_versions": _versions()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled state, on the CPU where its device is not on this machine."""
        pickled = state.pop("_versions", {})
        super().__setstate__(state)  # type: ignore[misc]
        _warn_of_other_versions(type(self).__name__, pickled)
        if "network_" in state:
            self.device_ = _device_or_cpu(str(self.device_))
            self.network_.to(self.device_)

    def _description(self) -> Description:
        network, units = self.network_, self._units
        names = getattr(self, "feature_names_in_", None)
        return {
            "format": FORMAT,
            "estimator": type(self).__name__,
            "versions": _versions(),
            "parameters": {
                name: _plain(name, value) for name, value in self.get_params(deep=False).items()
            },
            "network": {
                **asdict(network.architecture),
                "n_members": len(members_of(network)),
                "omega_0": float(network.omega_0),
                "hidden_omega_0": float(network.hidden_omega_0),
            },
            "single_target": units.single_target,
            "y_dtype": np.dtype(units.y_dtype).name,
            "device": str(self.device_),
            "feature_names": None if names is None else names.tolist(),
        }


def _versions() -> dict[str, str]:
    packages = {"skinr": skinr, "torch": torch, "scikit-learn": sklearn}
    return {name: str(package.__version__) for name, package in packages.items()}


def _warn_of_other_versions(estimator: str, pickled: dict[str, str]) -> None:
    for name, here in _versions().items():
        if name != "torch" and pickled.get(name, here) != here:
            warning = InconsistentVersionWarning(
                estimator_name=f"{estimator} ({name})",
                current_sklearn_version=here,
                original_sklearn_version=pickled[name],
            )
            warnings.warn(warning, stacklevel=3)


def _device_or_cpu(name: str) -> torch.device:
    try:
        return resolve_device(name)
    except ValueError:
        return torch.device("cpu")


def _plain(name: str, value: Any) -> Any:
    """Return a parameter as JSON has it."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, list | tuple):
        return [_plain(name, entry) for entry in value]
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{name}={value!r} is no number that JSON has; set another to save.")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(
        f"{name}={value!r} can't be saved, only numbers, text, None and sequences of such. "
        f"Set another value with set_params({name}=...); the fit stays as it is."
    )


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


def _unit_arrays(units: Units) -> dict[str, NDArray[np.float64]]:
    maps = {"X": units.X, "y": units.y}
    return {
        f"units.{name}.{part}": array
        for name, scaling in maps.items()
        for part, array in scaling._asdict().items()
    }


def _fitted_state(
    description: Description, shape: NetworkShape, arrays: dict[str, NDArray[Any]]
) -> FittedState:
    weights = {name: arrays[name] for name in shape.weights}
    X, y = (
        AffineMap(*(arrays[f"units.{name}.{part}"] for part in AffineMap._fields)) for name in "Xy"
    )
    checked = {**weights, **_unit_arrays(Units(X, y, True, np.float64))}
    if "noise" in arrays:
        checked["noise"] = arrays["noise"]
    for name, array in checked.items():
        is_size = name == "noise" or name.endswith("scale")
        if not np.isfinite(array).all() or (is_size and (array < 0).any()):
            raise ValueError(f"its array {name!r} has entries that are no numbers, or negative")
    single_target = _entry(description, "single_target", bool)
    if single_target and shape.architecture.n_outputs > 1:
        raise ValueError("its single target has several outputs")
    units = Units(X, y, single_target, Y_DTYPES[_entry(description, "y_dtype", str)])
    omegas = [_entry(description["network"], name, float) for name in ("omega_0", "hidden_omega_0")]
    float32 = torch.finfo(torch.float32)
    if not all(float32.tiny <= omega <= float32.max for omega in omegas):
        raise ValueError(f"its frequencies are {omegas}")
    device = _device_or_cpu(_entry(description, "device", str))
    network = _network(shape, omegas, weights, device)
    if not _probe(network).isfinite().all():
        raise ValueError("its weights are so large that its values are not finite")
    return FittedState(
        network, units, arrays["loss_curve"], arrays.get("validation_scores"), arrays.get("noise")
    )


def _network(
    shape: NetworkShape,
    omegas: list[float],
    weights: dict[str, NDArray[Any]],
    device: torch.device,
) -> Network:
    network = shape.empty(omegas, device)
    network.load_state_dict(
        {name: torch.from_numpy(part.astype(np.float32)) for name, part in weights.items()}
    )
    return network


def _probe(network: Network) -> torch.Tensor:
    """Evaluate a network at random positions in [-1, 1] of each coordinate."""
    draw = torch.Generator().manual_seed(0)
    coordinates = 2 * torch.rand(N_PROBES, network.architecture.n_features, generator=draw) - 1
    with torch.no_grad():
        values: torch.Tensor = network(coordinates.to(next(network.parameters())))
    return values.double().cpu()


def _psnr(exact: Network, stored: Network) -> float:
    """Return the PSNR of a network against another, in dB, over random positions."""
    values = _probe(exact)
    span = values.amax(dim=0) - values.amin(dim=0)
    residual = (_probe(stored) - values) / torch.where(span > 0, span, 1)
    error = residual.square().mean().item()
    return -10 * log10(error) if error > 0 else inf
