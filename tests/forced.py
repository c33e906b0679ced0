"""Winograd with one member of its family, whatever the precision and the costs, through the public functions."""

from contextlib import contextmanager

from fastconv import dispatch
from fastconv.algorithm.winograd import Winograd
from fastconv.algorithm.winograd.members import Member
from fastconv.microkernels.winograd import sizes, variants
from fastconv.operators import conv

MEMBERS = [Member(*sizes(word)) for word in variants()]
PLACE = "conv2d", "forward"


def member(word):
    """The member of a variant such as 4x4k3x3."""
    return Member(*sizes(word))


def values_of(member):
    """What `MOST_VALUES` bounds."""
    return member.mh + member.r - 1 + member.mw + member.s - 1


def times_of(member):
    """How many times the error of a plain sum a member's may be, by its class of precision."""
    return 16 if values_of(member) <= 14 else 64


@contextmanager
def only(member):
    """Within, algorithm="winograd" is this member."""
    before = dispatch.CANDIDATES[PLACE]
    dispatch.CANDIDATES[PLACE] = tuple(Winograd(member) if a.name == "winograd" else a for a in before)
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
