"""Winograd with one member of its family, whatever the precision and the costs, through the public functions."""

from contextlib import contextmanager
from dataclasses import replace

from fastconv import dispatch
from fastconv.algorithm.winograd import Winograd
from fastconv.algorithm.winograd.members import Member
from fastconv.microkernels.winograd import sizes, strided_variants, variants
from fastconv.operators import conv
from fastconv.target import host

MATRIX = [replace(Member(*sizes(word)), matrix=True) for word in variants()] if host().amx else []  # on matrix tiles
MEMBERS = [Member(*sizes(word)) for word in variants() + strided_variants()]
PLACE = "conv2d", "forward"


def member(word):
    """The member of a variant such as 4x4k3x3."""
    return Member(*sizes(word))


def label(member):
    """What tests with a member are called."""
    return member.variant + "_amx" * member.matrix


def name_of(member):
    """The algorithm that a member belongs to."""
    return "winograd_amx" if member.matrix else "winograd"


def axes_of(member):
    """(outputs, taps, stride) of both axes."""
    return (member.mh, member.r, member.sh), (member.mw, member.s, member.sw)


def values_of(member):
    """What `MOST_VALUES` bounds."""
    return sum(m + -(-taps // stride) - 1 for m, taps, stride in axes_of(member))


def times_of(member):
    """How many times the error of a plain sum a member's may be, by its class of precision."""
    return 16 if values_of(member) <= 14 else 64


@contextmanager
def only(member):
    """Within, the algorithm `name_of(member)` is this member."""
    before = dispatch.CANDIDATES[PLACE]
    dispatch.CANDIDATES[PLACE] = tuple(Winograd(member) if a.name == name_of(member) else a for a in before)
    forget()
    try:
        yield
    finally:
        dispatch.CANDIDATES[PLACE] = before
        forget()


def forget():
    """Plan anew from here on."""
    dispatch.execution.cache_clear()
    conv._calls.clear()
