import multiprocessing
import os
import signal
import threading
import time

from kdkit.claims import claim


def test_one_claims_and_the_others_leave_it_or_wait(tmp_path):
    path, taken = tmp_path / "file", []
    with claim(path, wait=False) as first, claim(path, wait=False) as second:
        assert first
        assert not second
        waiting = threading.Thread(target=lambda: taken.append(_wait(path)))
        waiting.start()
        time.sleep(0.05)
        assert not taken
    waiting.join(timeout=10)
    assert taken == [True]
    assert not list(tmp_path.iterdir())


def test_a_process_that_was_forked_within_a_claim_does_not_hold_it(tmp_path):
    """As a loader's workers are, which live on."""
    path = tmp_path / "file"
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(30,), daemon=True)
    with claim(path, wait=False):
        child.start()
    try:
        with claim(path, wait=False) as again:
            assert again
    finally:
        child.kill()
        child.join()


def test_a_process_that_was_forked_does_not_hold_what_a_killed_one_claimed(tmp_path):
    """A loader's workers look every few seconds whether who started them still lives."""
    path, told = tmp_path / "file", multiprocessing.get_context("fork").SimpleQueue()
    process = multiprocessing.get_context("fork").Process(target=_claim_and_fork, args=(path, told))
    process.start()
    child = told.get()
    process.kill()
    process.join()
    try:
        with claim(path, wait=False) as again:
            assert again
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_forked_process_that_leaves_the_block_ends_no_claim(tmp_path):
    path = tmp_path / "file"
    child = 0
    try:
        with claim(path, wait=False):
            child = os.fork()
            if child:
                os.waitpid(child, 0)
                with claim(path, wait=False) as again:
                    assert not again
    finally:
        if not child:
            os._exit(0)


def _claim_and_fork(path, told):
    with claim(path, wait=False):
        child = os.fork()
        if child:
            told.put(child)
        time.sleep(60)


def _wait(path):
    with claim(path, wait=True) as claimed:
        return claimed
