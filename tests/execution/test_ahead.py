from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from pcm_leukemia.execution import ahead


def test_results_come_in_order_whatever_takes_longest() -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.05 if item == 0 else 0)
        return item * item

    assert list(ahead(slow_first, range(20), workers=4, depth=8)) == [item * item for item in range(20)]


def test_no_more_than_depth_items_are_taken_ahead() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(50):
            taken += 1
            yield item

    for done, _ in enumerate(ahead(abs, items(), workers=2, depth=5)):
        assert taken - done <= 5
    assert taken == 50


def test_closed_early_it_starts_nothing_more_and_waits_for_what_runs() -> None:
    started, finished = [], []
    go_on = threading.Event()

    def work(item: int) -> int:
        started.append(item)
        if item:
            go_on.wait(5)
        finished.append(item)
        return item

    with closing(ahead(work, range(100), workers=1, depth=10)) as results:
        assert next(results) == 0
        threading.Timer(0.1, go_on.set).start()
    assert started == finished
    assert len(finished) <= 2


def test_an_error_reaches_the_caller_in_its_turn() -> None:
    results = ahead(lambda item: 1 // item, [2, 1, 0, 3], workers=2, depth=4)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_an_executor_of_the_caller_stays_open() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert list(ahead(abs, [-1, -2], workers=1, depth=1, executor=pool)) == [1, 2]
        assert pool.submit(abs, -3).result() == 3
