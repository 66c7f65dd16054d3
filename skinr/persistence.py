"""Saving fitted models without pickle, and pickles without what only training needs."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict
from math import inf, log10
from typing import Any, Self

import numpy as np
import sklearn
import torch
from numpy.typing import DTypeLike, NDArray
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils.validation import check_is_fitted

import skinr
from skinr.device import device_or_cpu
from skinr.ensemble import Network, members_of
from skinr.files import Description, open_file, to_plain, write_file
from skinr.model_files import (
    FORMAT,
    FittedState,
    probe,
    read_model,
    unit_arrays,
)
from skinr.scaling import Units

KIND = "a model saved by skinr"

MOST_FLOAT16 = float(np.finfo(np.float16).max)


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
            estimator is unusable, or is no number, text, None or sequence of such.
        OSError
            If the file can't be written; an earlier one is then still there.
        """
        check_is_fitted(self)
        self._validate_params()
        if dtype not in (np.dtype(np.float32), np.dtype(np.float16)):
            raise ValueError(f"dtype must be float32 or float16; {dtype!r} given.")
        stored = deepcopy(self.network_)
        if dtype == np.dtype(np.float16):
            _check_fits_float16(stored)
            stored.half()
        weights = {name: part.numpy(force=True) for name, part in stored.state_dict().items()}
        arrays = {**weights, **unit_arrays(self._units), "loss_curve": self.loss_curve_}
        if self.validation_scores_ is not None:
            arrays["validation_scores"] = self.validation_scores_
        if self.noise_ is not None:
            arrays["noise"] = self.noise_
        psnr = _psnr(self.network_, stored.float())
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
            Fitted, on the device that it was on, or on the CPU where there is none such here. What
            `set_fit_request` and its like have asked for is not kept.

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
            saved = read_model(file, cls.__name__)
            model = cls(**saved.parameters)
            model._validate_params()
            model._set_fitted(saved.state)
        model.n_features_in_ = model.network_.architecture.n_features
        if saved.feature_names is not None:
            model.feature_names_in_ = saved.feature_names
        return model

    def __getstate__(self) -> dict[str, Any]:
        """Return the state to pickle: on the CPU, without what only training needs."""
        state: dict[str, Any] = dict(super().__getstate__())  # type: ignore[call-overload]
        if "network_" in state:
            state["network_"] = deepcopy(state["network_"]).cpu()
        state.pop("_adam_state", None)
        return state | {"_versions": _versions()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickled state, on the CPU where its device is not on this machine."""
        pickled = state.pop("_versions", {})
        super().__setstate__(state)  # type: ignore[misc]
        _warn_of_other_versions(type(self).__name__, pickled)
        if "network_" in state:
            self.device_ = device_or_cpu(str(self.device_))
            self.network_.to(self.device_)

    def _description(self) -> Description:
        network, units = self.network_, self._units
        names = getattr(self, "feature_names_in_", None)
        return {
            "format": FORMAT,
            "estimator": type(self).__name__,
            "versions": _versions(),
            "parameters": {
                name: to_plain(name, value) for name, value in self.get_params(deep=False).items()
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


def _check_fits_float16(network: Network) -> None:
    largest = max(float(part.abs().max()) for part in network.state_dict().values())
    if largest > MOST_FLOAT16:
        raise ValueError(
            f"dtype=float16 holds weights up to {MOST_FLOAT16:.0f}; the largest of this network "
            f"is {largest:.3g}. Save it as float32."
        )


def _psnr(exact: Network, stored: Network) -> float:
    """Return the PSNR of a network against another, in dB, over random positions."""
    values = probe(exact)
    span = values.amax(dim=0) - values.amin(dim=0)
    residual = (probe(stored) - values) / torch.where(span > 0, span, 1)
    error = residual.square().mean().item()
    return -10 * log10(error) if error > 0 else inf
