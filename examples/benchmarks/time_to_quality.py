"""How soon a photograph is as good as the lecture's recipe leaves it, by this package and others.

Photographs of 256 x 256 grey pixels. The lecture's loop, as written, runs its 100 epochs from
several random states, and from more until one learns anything; what it has come to (the median PSNR
of the runs that learn) is the quality to reach. A photograph of which none learns is left out.
Then the others run until they reach it, or to a time limit: siren-pytorch's network of the
lecture's sizes in skorch, the paper's recipe for images (three hidden layers of 256, Adam at 1e-4
on all pixels), and scikit-learn's MLPRegressor of the lecture's sizes. Their clocks stop while they
are judged. This package runs whole fits with ever larger `max_iter` until one is good enough, and
is entered with the time of that fit. The lecture's loop, which sets the quality, comes first; the
others take turns in changing order.

Needs the extra `peers`.
"""

import argparse
from functools import partial
from time import perf_counter

import numpy as np
import torch
from common import (
    LEARNED_DB,
    LECTURE_BATCH_SIZE,
    LECTURE_EPOCHS,
    LECTURE_SIZES,
    describe_environment,
    lecture_network,
    psnr,
    sine_network,
    square,
    write_json,
)
from siren_pytorch import SirenNet
from sklearn.neural_network import MLPRegressor
from skorch import NeuralNetRegressor
from torch import nn

from skinr import ImageCoordinateTransformer, SirenRegressor

PHOTOGRAPHS = ("china", "flower", "astronaut", "coffee")
MOST_STATES = 8
BUDGETS = [round(50 * 1.25**step) for step in range(24)]


def lecture(X, y, random_state):
    """Return a step of the lecture's loop, an epoch, and how to predict."""
    torch.manual_seed(random_state)
    network = lecture_network()
    coordinates, values = torch.from_numpy(X / 256 - 0.5), torch.from_numpy(y - 0.5)
    pairs = [*zip(coordinates, values, strict=True)]
    loader = torch.utils.data.DataLoader(pairs, batch_size=LECTURE_BATCH_SIZE, shuffle=True)
    optimizer = torch.optim.Adam(network.parameters())

    def step():
        for some_coordinates, some_values in loader:
            optimizer.zero_grad()
            predicted = network(some_coordinates)[:, 0]
            nn.functional.mse_loss(predicted, some_values).backward()
            optimizer.step()

    return step, lambda: network(coordinates)[:, 0].detach().numpy() + 0.5


def paper(X, y, random_state):
    """Return a step of the paper's recipe for images, and how to predict."""
    torch.manual_seed(random_state)
    network = sine_network((2, 256, 256, 256, 256, 1), 1 / 2, last_is_sine=False)
    coordinates, values = torch.from_numpy(X / 128 - 1), torch.from_numpy(2 * y - 1)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)

    def step():
        optimizer.zero_grad()
        nn.functional.mse_loss(network(coordinates)[:, 0], values).backward()
        optimizer.step()

    return step, lambda: network(coordinates)[:, 0].detach().numpy() / 2 + 0.5


def siren_pytorch(X, y, random_state):
    """Return an epoch of siren-pytorch in skorch, and how to predict."""
    torch.manual_seed(random_state)
    model = NeuralNetRegressor(
        SirenNet,
        module__dim_in=2,
        module__dim_hidden=LECTURE_SIZES[0],
        module__dim_out=1,
        module__num_layers=len(LECTURE_SIZES),
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=LECTURE_BATCH_SIZE,
        iterator_train__shuffle=True,
        train_split=None,
        max_epochs=1,
        verbose=0,
    ).initialize()
    coordinates, values = X / 128 - 1, 2 * y[:, None] - 1
    return (
        lambda: model.partial_fit(coordinates, values),
        lambda: model.predict(coordinates)[:, 0] / 2 + 0.5,
    )


def mlp_regressor(X, y, random_state):
    """Return an epoch of scikit-learn's network, and how to predict."""
    model = MLPRegressor(
        hidden_layer_sizes=LECTURE_SIZES, activation="tanh", random_state=random_state
    )
    coordinates, values = X / 128 - 1, 2 * y - 1
    return (
        lambda: model.partial_fit(coordinates, values),
        lambda: model.predict(coordinates) / 2 + 0.5,
    )


def run_lecture(X, y, random_state, n_epochs):
    """Return the seconds of the lecture's loop and the PSNR it ends with."""
    step, predict = lecture(X, y, random_state)
    start = perf_counter()
    for _ in range(n_epochs):
        step()
    return perf_counter() - start, psnr(y, predict())


def seconds_of_peer(make, X, y, random_state, quality, limit):
    """Return when a peer was as good, and whether it was within the limit."""
    step, predict = make(X, y, random_state)
    seconds, reached = 0.0, False
    while not reached and seconds < limit:
        start = perf_counter()
        step()
        seconds += perf_counter() - start
        reached = psnr(y, predict()) >= quality
    return seconds, reached


def seconds_of_skinr(X, y, random_state, quality, limit):
    """Return what the shortest fit takes that is as good, and whether it is within the limit."""
    for max_iter in BUDGETS:
        start = perf_counter()
        model = SirenRegressor(LECTURE_SIZES, max_iter=max_iter, random_state=random_state).fit(
            X, y
        )
        seconds = perf_counter() - start
        if psnr(y, model.predict(X)) >= quality:
            return seconds, True
        if seconds > limit:
            break
    return seconds, False


CONTESTANTS = {
    "skinr": seconds_of_skinr,
    **{
        make.__name__: partial(seconds_of_peer, make)
        for make in (siren_pytorch, paper, mlp_regressor)
    },
}


def quality_to_reach(X, y, loops, n_epochs):
    """Return the median PSNR of the lecture's loops that learned, or None."""
    learned = [decibels for _, decibels in loops if decibels >= LEARNED_DB]
    for state in range(len(loops), MOST_STATES):
        if not learned:
            _, decibels = run_lecture(X, y, state, n_epochs)
            learned = [decibels] if decibels >= LEARNED_DB else []
    return float(np.median(learned)) if learned else None


def race(X, y, state, quality, limit):
    """Return by contestant when it was as good, and whether it was within the limit."""
    first = state % len(CONTESTANTS)
    names = [*CONTESTANTS][first:] + [*CONTESTANTS][:first]
    return {name: CONTESTANTS[name](X, y, state, quality, limit) for name in names}


def print_row(row):
    """Print what one random state of one photograph took."""
    print(f"{row['photograph']:<12}{row['quality']:>5.1f}{row['lecture'][0]:>19.1f}", end="")
    for name in CONTESTANTS:
        seconds, reached = row[name]
        print(f"{seconds:>{max(7, len(name)) + 1}.2f}{' ' if reached else '+'}", end="")
    print(flush=True)


def print_ratios(results):
    """Print how many times sooner this package gets there than each of the others."""
    print("\ntimes sooner by skinr, median (least, most)")
    for name in ("lecture", *list(CONTESTANTS)[1:]):
        ratios = [row[name][0] / row["skinr"][0] for row in results]
        reached = sum(row[name][1] for row in results)
        print(
            f"than {name:<16}{np.median(ratios):>7.1f} ({min(ratios):.1f}, {max(ratios):.1f})"
            f"   which got there in {reached} of {len(results)}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", nargs="+", default=PHOTOGRAPHS)
    parser.add_argument("--states", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=LECTURE_EPOCHS, help="of the lecture's loop")
    parser.add_argument("--limit", type=float, default=90, help="seconds for each of the others")
    parser.add_argument("--json", help="where to write the figures")
    options = parser.parse_args()
    print(describe_environment())
    print(f"\n{'photograph':<12}{'dB':>5}  seconds: {'lecture':>8}", *CONTESTANTS, sep="  ")
    print("(+: not reached in this time)")
    results = []
    for photograph in options.photographs:
        X, y = ImageCoordinateTransformer().image_to_arrays(square(photograph))
        loops = [run_lecture(X, y, state, options.epochs) for state in range(options.states)]
        quality = quality_to_reach(X, y, loops, options.epochs)
        if quality is None:
            print(f"{photograph:<12} the lecture's loop learned nothing from {MOST_STATES} states")
            continue
        for state, (seconds, decibels) in enumerate(loops):
            row = {"photograph": photograph, "state": state, "quality": quality}
            row["lecture"] = seconds, decibels >= quality
            row |= race(X, y, state, quality, options.limit)
            results.append(row)
            print_row(row)
    if results:
        print_ratios(results)
    write_json(options.json, results)


if __name__ == "__main__":
    main()
