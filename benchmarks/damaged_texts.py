"""Sound texts with a few things done to them, drawn by hypothesis: what people and machines make of files.

Words are replaced by what is written in their place, lines are lost, doubled, swapped or reversed, the end is cut off,
and bytes come in that are no text.
"""

from __future__ import annotations

import re

from hypothesis import strategies as st

TOKENS = r"""
nan inf -inf 1e999 -0.0 1e-320 1_000 0x10 0o7 true null ~ yes -1 0 1e300 1e9 0.1e1 1,5 1;5 =1+1 # &a *a
step lr loss wsd nanogpt recipe auto version lrs steps 1e-3 0.5 40 41 ../../etc/passwd /dev/zero
" ' \ [ { ] } : - | > %s {0} !!python/name:os ١٢ ½ é
"""
HOSTILE = (
    *TOKENS.split(),
    *("", " ", "\x1b[31m", "\x07", "\r", "\u202e", "\ufeff", "\0", "\U0001f600", "[" * 300, "{a: " * 300),
    *("9" * 400, "1" + "0" * 30, "a" * 3000),
)
NO_TEXT = (b"\xff", b"\xff\xfe", b"\0", b"\xc3", b"\x1f\x8b", b"PK\x03\x04", b"\xed\xa0\x80", b"\n" * 50, b"\r")
WORDS = re.compile(r"[\w.+-]+|[^\w\s]")


@st.composite
def damaged(draw: st.DrawFn, sound: str) -> bytes:
    """The sound text with one to three things done to it."""
    text = sound
    for _ in range(draw(st.integers(1, 3))):
        text = draw(st.sampled_from((_word, _word, _word, _lines, _cut)))(draw, text)
    raw = text.encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 9)) == 0:
        place = draw(st.integers(0, len(raw)))
        raw = raw[:place] + draw(st.sampled_from(NO_TEXT)) + raw[place:]
    return raw


def _word(draw: st.DrawFn, text: str) -> str:
    words = list(WORDS.finditer(text))
    if not words:
        return draw(st.sampled_from(HOSTILE))
    word = draw(st.sampled_from(words))
    other = draw(st.one_of(st.sampled_from(HOSTILE), st.sampled_from(words).map(lambda found: found[0])))
    between = draw(st.sampled_from(("", "", "", " ", word[0])))
    return text[: word.start()] + between + other + text[word.end() :]


def _lines(draw: st.DrawFn, text: str) -> str:
    lines = text.splitlines(keepends=True)
    if len(lines) < 2:
        return text * draw(st.integers(0, 3))
    first, second = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
    kind = draw(st.sampled_from(("drop", "double", "swap", "reverse")))
    if kind == "drop":
        del lines[first]
    elif kind == "double":
        lines.insert(second, lines[first])
    elif kind == "swap":
        lines[first], lines[second] = lines[second], lines[first]
    else:
        lines[1:] = lines[:0:-1]
    return "".join(lines)


def _cut(draw: st.DrawFn, text: str) -> str:
    return text[: draw(st.integers(0, len(text)))]
