"""Sentences in lines, as a viewer of metadata shows them."""

import textwrap


def wrap(text: str) -> str:
    """Return the text in lines of at most 110 characters."""
    return "\n".join(textwrap.wrap(text, 110, break_long_words=False, break_on_hyphens=False))
