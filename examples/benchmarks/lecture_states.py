"""How reliably the lecture's recipe and this package's defaults teach the lecture's network.

Photographs of 256 x 256 grey pixels, five random states each. The lecture's recipe is written out
in plain torch; skinr runs with its defaults, which are the lecture's layer sizes and fewer, smaller
updates, and with 7.2 million visits to pixels, a tenth more than the lecture's recipe makes, and a
tenth of these. All take turns in changing order. A run that ends below 15 dB never learned
anything.
"""

import argparse
from itertools import permutations
from time import perf_counter

import numpy as np
import torch
from common import (
    LEARNED_DB,
    LECTURE_BATCH_SIZE,
    LECTURE_EPOCHS,
    PHOTOGRAPHS,
    describe_environment,
    lecture_network,
    psnr,
    square,
    write_json,
)
from torch import nn

from skinr import ImageCoordinateTransformer, SirenRegressor

LECTURE_DB = 28.0
VISITS_PER_EPOCH = 72_000  # of a long fit; the lecture's recipe makes 65,536
SOME_ROWS = 2048


def lecture(X, y, random_state, n_epochs):
    """Run the lecture's recipe: its initialisation, output, coordinates, values and Adam."""
    torch.manual_seed(random_state)
    network = lecture_network()
    coordinates = torch.from_numpy(X / 256 - 0.5)
    values = torch.from_numpy(y[:, None] - 0.5)
    optimizer = torch.optim.Adam(network.parameters())
    n_updates = 0
    for _ in range(n_epochs):
        for batch in torch.randperm(len(y)).split(LECTURE_BATCH_SIZE):
            optimizer.zero_grad()
            nn.functional.mse_loss(network(coordinates[batch]), values[batch]).backward()
            optimizer.step()
            n_updates += 1
    with torch.no_grad():
        return network(coordinates)[:, 0].numpy() + 0.5, n_updates


def defaults(X, y, random_state, n_epochs):
    """Run this package as it comes."""
    max_iter = SirenRegressor().max_iter * n_epochs // LECTURE_EPOCHS
    model = SirenRegressor(max_iter=max_iter, random_state=random_state).fit(X, y)
    return model.predict(X), model.n_iter_


def long_fit(X, y, random_state, n_epochs):
    """Run this package for a little more visits than the lecture's recipe makes."""
    return after_visits(n_epochs * VISITS_PER_EPOCH, X, y, random_state)


def short_fit(X, y, random_state, n_epochs):
    """Run this package for a tenth of these."""
    return after_visits(n_epochs * VISITS_PER_EPOCH // 10, X, y, random_state)


def after_visits(n_epochs, X, y, random_state):
    """Run this package until it has seen so many pixels."""
    max_iter = -(-n_epochs // SOME_ROWS)
    model = SirenRegressor(max_iter=max_iter, batch_size=SOME_ROWS, random_state=random_state)
    return model.fit(X, y).predict(X), model.n_iter_


RECIPES = {recipe.__name__: recipe for recipe in (lecture, defaults, long_fit, short_fit)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", nargs="+", default=PHOTOGRAPHS)
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--states", type=int, default=5)
    parser.add_argument(
        "--epochs", type=int, default=LECTURE_EPOCHS, help="of the lecture's recipe"
    )
    parser.add_argument("--json", help="where to write the figures")
    options = parser.parse_args()
    print(describe_environment())
    print(f"\n{'photograph':<12}{'recipe':<16}{'updates':>8}{'seconds':>9}  PSNR in dB: ", end="")
    print(f"median, worst, best   {LECTURE_DB:.0f} dB reached   never learned")
    results = []
    for name in options.photographs:
        X, y = ImageCoordinateTransformer().image_to_arrays(square(name))
        runs = {recipe: [] for recipe in options.recipes}
        orders = list(permutations(runs))
        for state in range(options.states):
            for recipe in orders[state % len(orders)]:
                start = perf_counter()
                predicted, n_updates = RECIPES[recipe](X, y, state, options.epochs)
                runs[recipe].append((psnr(y, predicted), perf_counter() - start, n_updates))
        for recipe, outcomes in runs.items():
            decibels, seconds, n_updates = map(np.array, zip(*outcomes, strict=True))
            results.append(
                {
                    "photograph": name,
                    "recipe": recipe,
                    "psnr": decibels.tolist(),
                    "seconds": seconds.tolist(),
                    "updates": int(n_updates[0]),
                }
            )
            print(
                f"{name:<12}{recipe:<16}{n_updates[0]:>8}{np.median(seconds):>9.1f}"
                f"{np.median(decibels):>20.2f}{decibels.min():>7.2f}{decibels.max():>7.2f}"
                f"{(decibels >= LECTURE_DB).sum():>12} of {len(decibels)}"
                f"{(decibels < LEARNED_DB).sum():>13} of {len(decibels)}",
                flush=True,
            )
    write_json(options.json, results)


if __name__ == "__main__":
    main()
