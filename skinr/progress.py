"""The progress bar of a long fit."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor

Progress = Callable[[int, Tensor], None]
"""Takes the number of updates done and the losses of the last one."""


@contextmanager
def progress_bar(max_iter: int, verbose: bool) -> Iterator[Progress | None]:
    """Show updates, loss and time left while the context lasts, where somebody looks on.

    Parameters
    ----------
    max_iter : int
        Updates of the whole fit.
    verbose : bool
        False shows nothing, nor does True where stderr is no terminal and this is no notebook.

    Yields
    ------
    progress : Progress or None
    """
    is_watched = sys.stderr.isatty() or "ipykernel" in sys.modules
    if not (verbose and is_watched):
        yield None
        return
    try:
        from tqdm import auto
    except ImportError:
        warnings.warn(
            "verbose=True shows a progress bar with tqdm, which is not installed; "
            "pip install 'skinr[progress]' brings it. The fit goes on without.",
            stacklevel=7,
        )
        yield None
        return
    with auto.tqdm(total=max_iter, unit="update", desc="fit") as bar:

        def progress(n_iter: int, losses: Tensor) -> None:
            bar.set_postfix(loss=f"{losses.mean().item():.3g}", refresh=False)
            bar.update(n_iter - bar.n)

        yield progress
