"""What the numbers that examples take have to be."""

import argparse


def at_least(least):
    """Return a type for argparse: numbers of the type of the least one."""

    def number(text):
        value = type(least)(text)
        if not value >= least:
            raise argparse.ArgumentTypeError(f"{text} given; at least {least} is needed")
        return value

    return number
