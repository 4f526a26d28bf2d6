import pytest

from kdkit import ConfigurationError, Limits


def test_the_environment_raises_a_limit_and_use_sets_all(monkeypatch):
    monkeypatch.setenv("KDKIT_MAX_JSON_DEPTH", "7")
    assert Limits.current() == Limits(json_depth=7)
    for name in ("JSON_BYTES", "JSON_DEPTH", "PICTURE_PIXELS", "OUTLINE_PIXELS", "TARGET_VALUES"):
        monkeypatch.setenv(f"KDKIT_MAX_{name}", "1")  # to be put back
    Limits(json_bytes=5, target_values=6).use()
    assert Limits.current() == Limits(json_bytes=5, target_values=6)


@pytest.mark.parametrize("text", ["many", "-1", "0", "1e9", "1.5", "9" * 30])
def test_what_is_no_limit_is_refused(monkeypatch, text):
    monkeypatch.setenv("KDKIT_MAX_PICTURE_PIXELS", text)
    with pytest.raises(ConfigurationError, match="KDKIT_MAX_PICTURE_PIXELS"):
        Limits.current()


def test_an_excess_says_how_to_raise_the_limit():
    limits = Limits(json_bytes=10)
    assert limits.excess("json_bytes", 10, "bytes") is None
    told = limits.excess("json_bytes", 11, "bytes")
    assert told is not None
    assert "11 bytes, the limit is 10" in told
    assert "KDKIT_MAX_JSON_BYTES" in told
    assert "more than 10^18" in str(limits.excess("json_bytes", 10**5000, "bytes"))
