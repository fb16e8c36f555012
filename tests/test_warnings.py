"""Blocks that ignore warnings leave the filters as they were, in all threads."""

from __future__ import annotations

import threading
import warnings

import pytest

from hybridopt._warnings import ignored_warnings


def test_only_matching_warnings_are_ignored():
    with ignored_warnings("Slow", UserWarning):
        warnings.warn("slower than usual", UserWarning, stacklevel=1)
        with pytest.raises(UserWarning, match="fast"):
            warnings.warn("fast", UserWarning, stacklevel=1)
        with pytest.raises(FutureWarning):
            warnings.warn("slow", FutureWarning, stacklevel=1)
    with pytest.raises(UserWarning):
        warnings.warn("slower than usual", UserWarning, stacklevel=1)


@pytest.mark.parametrize("own", [[], ["ignore"]])
def test_filters_are_restored_if_threads_leave_in_another_order(own):
    first_is_in, second_is_in = threading.Event(), threading.Event()

    def second():
        first_is_in.wait(60)
        with ignored_warnings():
            second_is_in.set()
            first_left.wait(60)

    with warnings.catch_warnings():
        for action in own:  # an equal filter of the user is kept
            warnings.simplefilter(action)
        before, first_left = list(warnings.filters), threading.Event()
        thread = threading.Thread(target=second)
        thread.start()
        with ignored_warnings():
            first_is_in.set()
            second_is_in.wait(60)
        first_left.set()
        thread.join(60)
        assert warnings.filters == before


def test_filters_that_the_user_replaced_are_kept():
    with warnings.catch_warnings():
        with ignored_warnings("x"):
            warnings.resetwarnings()
        assert warnings.filters == []
