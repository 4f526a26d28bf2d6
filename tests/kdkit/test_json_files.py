import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdkit.json_files import _depth, parse_json, read_json

TEXTS = st.text(alphabet='ab[]{}"\\,:é\n', max_size=6)
TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), TEXTS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


def depth(content):
    """Slowly, of what was read."""
    if not isinstance(content, list | dict):
        return 0
    return 1 + max(map(depth, content.values() if isinstance(content, dict) else content), default=0)


@settings(derandomize=True, max_examples=200)
@given(TREES, st.booleans(), st.sampled_from([None, 1]))
def test_the_depth_is_told_from_the_bytes_whatever_strings_hold(content, escaped, indent):
    raw = json.dumps(content, ensure_ascii=escaped, indent=indent).encode()
    assert _depth(raw) == depth(content)
    assert parse_json(raw) == content
    assert parse_json(raw.decode()) == content


def test_the_depth_is_told_across_blocks():
    raw = b"[" * 3 + b"[[]]," * 500_000 + b"[[[]]]" + b"]" * 3
    assert _depth(raw) == 6


def test_what_is_too_deep_is_refused_and_the_limit_may_be_raised(monkeypatch):
    deep = b"[" * 101 + b"]" * 101
    assert parse_json(deep[1:-1])
    with pytest.raises(ValueError, match=r"101 levels .* KDKIT_MAX_JSON_DEPTH"):
        parse_json(deep)
    monkeypatch.setenv("KDKIT_MAX_JSON_DEPTH", "1000000")
    assert parse_json(deep)
    with pytest.raises(ValueError, match="than Python can read"):
        parse_json(b"[" * 500_000)


def test_what_is_too_large_is_refused_before_it_is_read(monkeypatch, tmp_path):
    path = tmp_path / "sparse.json"
    with path.open("wb") as file:
        file.truncate(2**40)  # takes no room
    with pytest.raises(ValueError, match=r"1,099,511,627,776 bytes, .* KDKIT_MAX_JSON_BYTES"):
        read_json(path)
    path.write_bytes(b"[1]")
    monkeypatch.setenv("KDKIT_MAX_JSON_BYTES", "2")
    with pytest.raises(ValueError, match="3 bytes"):
        read_json(path)
    monkeypatch.setenv("KDKIT_MAX_JSON_BYTES", "3")
    assert read_json(path) == [1]


def test_a_pipe_is_read_no_further_than_the_limit(monkeypatch):
    monkeypatch.setenv("KDKIT_MAX_JSON_BYTES", "1000")
    with pytest.raises(ValueError, match="KDKIT_MAX_JSON_BYTES"):
        read_json("/dev/zero")
    reading, writing = os.pipe()
    os.write(writing, b"[1, 2]")
    os.close(writing)
    assert read_json(f"/dev/fd/{reading}") == [1, 2]
    os.close(reading)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_other_encodings_of_unicode_are_read(encoding):
    assert parse_json('{"é[": [["ä"]]}'.encode(encoding)) == {"é[": [["ä"]]}


@pytest.mark.parametrize("raw", [b"", b"{", b'{"a": 1', b"9" * 5000, b"\xff", b'"\\'])
def test_what_is_no_json_is_a_value_error(raw):
    with pytest.raises(ValueError):
        parse_json(raw)
