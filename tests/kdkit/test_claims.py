import multiprocessing
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


def _wait(path):
    with claim(path, wait=True) as claimed:
        return claimed
