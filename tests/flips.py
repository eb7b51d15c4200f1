"""The sign-flip test of two arms in one call, as its tests ask for it."""

from normcraft.studies.signflip import SignFlipTest


def p_value(a, b):
    return SignFlipTest.of(a, b).p_value


def interval(a, b, *, level=0.05):
    return SignFlipTest.of(a, b).interval(level)
