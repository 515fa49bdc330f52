import html
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from econllm.tables.escape import _LATEX, clean, escape_html, escape_latex, escape_markdown

TEXT = st.text(max_size=40) | st.text(alphabet="_&%#$^~\\{}<>|\"'`[]*-,é–×− a1.", max_size=20)
# Everything that escaped text may consist of: commands, accents on letters, math, safe characters.
LATEX = re.compile(
    r"""(?:\\[A-Za-z]+\{\} | \\[_&%\#${}] | \\`\{\}
        | \\[`'^~="A-Za-z.]\{(?:[A-Za-z]|\\[ij]\{\}|\\[`'^~="A-Za-z.]\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})\}
        | \$[-^_{}\\A-Za-z0-9.,]+\$ | \{[\[*]\} | \{\} | [^\\_&%\#$^{}<>|"`\n])*""",
    re.VERBOSE,
)


@given(TEXT, st.booleans())
def test_latex_has_no_raw_special_left(text, number):
    escaped = escape_latex(text, number=number)
    assert escaped.isascii()
    assert LATEX.fullmatch(escaped)
    assert not escaped.startswith(("[", "*"))
    assert not re.search("--|''|,,", escaped)


@given(st.text(alphabet=[chr(code) for code in range(32, 127) if chr(code) != '"'], max_size=30))
def test_ascii_survives_latex(text):
    back = {code: character for character, code in _LATEX.items() if character.isascii()}
    pattern = "|".join(re.escape(code) for code in sorted(back, key=len, reverse=True))
    escaped = re.sub(r"^\{([\[*])\}", r"\1", escape_latex(text))
    plain = re.sub(rf"({pattern})|\{{\}}", lambda match: back.get(match[0], ""), escaped)
    assert plain == clean(text)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        (r"_ & % # $ \ { }", r"\_ \& \% \# \$ \textbackslash{} \{ \}"),
        ("a ~ b^2", r"a $\sim$ b\textasciicircum{}2"),
        ("<é – ×>", r"\textless{}\'{e} \textendash{} $\times$\textgreater{}"),
        ("Łódź ñ ï ệ ą", r"\L{}\'{o}d\'{z} \~{n} \"{\i{}} \^{\d{e}} a"),
        ('say "yes"', r"say \textquotedblleft{}yes\textquotedblright{}"),
        ("ﬁ ² 職 😀", r"fi $^{2}$ ? ?"),
        ("-- ''", "-{}- '{}'"),
        ("[a] *", "{[}a] *"),
        ("two\nlines\x00", "two lines"),
        ("\ud800", "?"),
    ],
)
def test_latex_examples(text, escaped):
    assert escape_latex(text) == escaped


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("-0.12", "$-$0.12"),
        ("[-0.1, -.2]", "{[}$-$0.1, $-$.2]"),
        ("-∞", r"$-$$\infty$"),
        ("-1.5e-05", r"$-1.5\times10^{-5}$"),
        ("<0.001", r"\textless{}0.001"),
        ("1980-87", "1980-87"),
        ("12.5%", r"12.5\%"),
    ],
)
def test_latex_numbers(text, escaped):
    assert escape_latex(text, number=True) == escaped


@given(TEXT)
def test_html_round_trip(text):
    escaped = escape_html(text)
    assert not set(escaped) & set("<>\"'")
    assert html.unescape(escaped) == clean(text)


@given(TEXT, st.booleans())
def test_markdown_round_trip(text, paragraph):
    escaped = escape_markdown(text, paragraph=paragraph)
    assert not re.search(r"(?<!\\)(?:\\\\)*\|", escaped.replace("\\|", ""))
    assert re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", escaped) == clean(text)


@given(TEXT)
def test_markdown_renders_as_the_text(text):
    markdown = pytest.importorskip("markdown_it").MarkdownIt("gfm-like", {"linkify": False})
    tokens = markdown.parse(escape_markdown(text, paragraph=True))
    inline = [child for token in tokens for child in token.children or []]
    assert [token.type for token in tokens] in ([], ["paragraph_open", "inline", "paragraph_close"])
    assert "".join(child.content for child in inline) == clean(text).strip()


@given(st.text())
def test_clean_text_is_one_printable_line(text):
    cleaned = clean(text)
    assert len(cleaned.splitlines()) <= 1
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Cf") for character in cleaned)
    assert clean(cleaned) == cleaned
