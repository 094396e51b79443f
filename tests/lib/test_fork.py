"""A generator in a process of its own."""

import os
import signal

import pytest

from engage.lib.fork import Ended, Forked, Inline


def two_steps():
    yield os.getpid()
    yield "after"


def fails():
    yield 1
    raise ValueError("two is too many")


@pytest.mark.parametrize("how", [Forked, Inline])
def test_it_goes_on_when_told_to(how):
    with how(two_steps()) as side:
        assert (side.result() == os.getpid()) is (how is Inline)
        side.resume()
        assert side.result() == "after"


def test_what_it_raises_is_raised_here():
    with pytest.raises(ValueError, match="two is too many"), Forked(fails()) as side:
        assert side.result() == 1
        side.resume()
        side.result()


def test_what_cannot_be_sent_is_told_in_words():
    class Peculiar(Exception):
        pass

    def fails_peculiarly():
        raise Peculiar("seven")
        yield

    with pytest.raises(RuntimeError, match="Peculiar: seven"), Forked(fails_peculiarly()) as side:
        side.result()


def test_one_that_was_killed():
    with pytest.raises(Ended), Forked(two_steps()) as side:
        os.kill(side.result(), signal.SIGKILL)
        side.result()


def test_it_does_not_outlive_who_began_it():
    with Forked(two_steps()) as side:
        pid = side.result()
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, 0)
