import sys

import docx
import pytest
from docx.enum.section import WD_ORIENT
from docx.shared import Pt

from econllm.errors import OptionError
from econllm.tables import Column, Fact, Panel, Row, Table
from econllm.tables.widths import text_width

NAN = float("nan")


@pytest.fixture
def comparison():
    columns = [
        Column("All", ".3f", "Perplexity"),
        Column("95% CI", group="Perplexity", align="right"),
        Column("Nats", ".4f", "Difference"),
        # The same heading as its neighbour under another group, which maketables would merge.
        Column("Nats", "pvalue", "Bootstrap"),
        Column("Para-\nmeters", ",d"),
        "Flag",
    ]
    rows = [
        ("Empirical", 4.571, "[4.098, 5.099]", None, None, 3465, "improper"),
        Row("\u00a0\u00a0SE, test", ["(0.011)", None, "(0.0021)", None, None, None]),
        ("MNL & <text>", NAN, "[4.0, 5.0]", -0.0258, 0.0001, 12, None),
    ]
    return Table(
        columns,
        [Panel("sex: men", rows), Panel("sex: women", rows[:1])],
        title="Comparison of models",
        header="Model",
        facts=[Fact("Formula", "a ~ b"), Fact("Rows", 2725, ",d")],
        notes=["Clustered by person.", "Second note."],
    )


def read(path):
    document = docx.Document(str(path))
    grid = document.tables[0]
    return document, [[cell.text for cell in row.cells] for row in grid.rows]


def test_headings_groups_panels_facts_and_notes_survive(comparison, tmp_path):
    comparison.to_word(tmp_path / "t.docx")
    document, rows = read(tmp_path / "t.docx")
    assert [p.text for p in document.paragraphs] == [
        "Table : Comparison of models",
        "Formula:\ta ~ b",
        "Rows:\t2,725",
    ]
    assert rows == [
        ["", "Perplexity", "Perplexity", "Difference", "Bootstrap", "", ""],
        ["Model", "All", "95% CI", "Nats", "Nats", "Para-\nmeters", "Flag"],
        ["sex: men"] * 7,
        ["Empirical", "4.571", "[4.098, 5.099]", "", "", "3,465", "improper"],
        ["\u00a0\u00a0SE, test", "(0.011)", "", "(0.0021)", "", "", ""],
        ["MNL & <text>", ".", "[4.0, 5.0]", "-0.0258", "<0.001", "12", ""],
        ["sex: women"] * 7,
        ["Empirical", "4.571", "[4.098, 5.099]", "", "", "3,465", "improper"],
        ["Clustered by person.\nSecond note."] * 7,
    ]


def test_cells_are_aligned_as_in_other_formats_and_fit_the_page(comparison, tmp_path):
    comparison.to_word(tmp_path / "t.docx")
    grid = docx.Document(str(tmp_path / "t.docx")).tables[0]
    sides = [cell.paragraphs[0].alignment for cell in grid.rows[3].cells[1:]]
    assert [side.name for side in sides] == ["RIGHT", "RIGHT", "RIGHT", "RIGHT", "RIGHT", "LEFT"]
    assert sum(column.width for column in grid.columns) <= Pt(433)
    # The widest column is that of the intervals.
    widths = [cell.width for cell in grid.rows[3].cells]
    assert max(widths[1:]) == widths[2]
    headings = [row._tr.xpath("./w:trPr/w:tblHeader") for row in grid.rows]
    assert [bool(found) for found in headings] == [True, True, *[False] * 7]


def test_a_wide_table_is_set_smaller(tmp_path):
    sizes = []
    for columns in (2, 9):
        Table([f"Column {j}" for j in range(columns)], [("a", *[1.5] * columns)]).to_word(tmp_path / "t.docx")
        grid = docx.Document(str(tmp_path / "t.docx")).tables[0]
        sizes.append(grid.rows[1].cells[1].paragraphs[0].runs[0].font.size.pt)
        assert sum(column.width for column in grid.columns) <= Pt(433)
        assert docx.Document(str(tmp_path / "t.docx")).sections[0].orientation == WD_ORIENT.PORTRAIT
    assert sizes == [11, 8]


@pytest.mark.parametrize("label", ["Logit", "A multinomial logit of many words (improper)"])
def test_a_table_too_wide_for_the_page_is_turned_and_its_numbers_are_whole(label, tmp_path):
    cells = [2.195, "[2.005, 2.402]", 2.115, "(0.0055)", 1.135, "[1.087, 1.185]", 0.0001, 1.0, 0.754, 3465, 12.3, 0.5]
    cells += [] if label == "Logit" else ["[0.998, 1.046]", "(0.0055)"]
    Table([f"n{j}" for j in range(len(cells))], [(label, *cells)]).to_word(tmp_path / "t.docx")
    document = docx.Document(str(tmp_path / "t.docx"))
    section = document.sections[0]
    assert section.orientation == WD_ORIENT.LANDSCAPE
    assert section.page_width > section.page_height
    room = section.page_width - section.left_margin - section.right_margin
    grid = document.tables[0]
    assert Pt(500) < sum(column.width for column in grid.columns) <= room + Pt(1)
    size = grid.rows[1].cells[1].paragraphs[0].runs[0].font.size.pt
    assert size == (10 if label == "Logit" else 8)
    for cell in grid.rows[1].cells[1:]:
        # Three points are left free on either side.
        assert cell.width.pt - 6 >= size / 10 * text_width(cell.text)


def test_short_tables_are_kept_together_and_long_ones_break(tmp_path):
    for rows, kept in ((3, True), (60, False)):
        Table(["n"], [(f"row {i}", i) for i in range(rows)]).to_word(tmp_path / "t.docx")
        document, read_rows = read(tmp_path / "t.docx")
        assert len(read_rows) == 1 + rows
        assert bool(document.tables[0]._tbl.xpath(".//w:keepNext")) is kept


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        (Table([], [], facts={"Rows": 3, "R\x00\ud800": "x"}), [["", ""], ["Rows", "3"], ["R?", "x"]]),
        (Table([], []), [["", ""]]),
        (Table(["n"], []), [["", "n"]]),
        (Table([], [("a",)], header="h"), [["h"], ["a"]]),
        (Table(["n"], [Panel("", [("a", 1)]), Panel("", [("a", 2)])]), [["", "n"], ["a", "1"], ["a", "2"]]),
        (
            Table(["n"], [Panel("P", [("a", 1)]), Panel("P", [("b", 2)])], notes="N"),
            [["", "n"], ["P", "P"], ["a", "1"], ["P", "P"], ["b", "2"], ["N", "N"]],
        ),
    ],
)
def test_tables_of_every_kind(table, rows, tmp_path):
    table.to_word(tmp_path / "t.docx")
    assert read(tmp_path / "t.docx")[1] == rows


def test_the_file_is_written_whole_or_not_at_all(comparison, tmp_path, monkeypatch):
    target = tmp_path / "t.docx"
    target.write_text("old")
    monkeypatch.setattr("docx.document.Document.save", lambda self, path: (open(path, "w").close(), 1 / 0))
    with pytest.raises(ZeroDivisionError):
        comparison.to_word(target)
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["t.docx"]
    monkeypatch.undo()
    comparison.to_word(str(target))
    assert len(read(target)[1]) == 9


def test_errors_come_before_any_work(comparison, tmp_path, monkeypatch):
    with pytest.raises(OptionError, match=r"ends in '\.docx'"):
        comparison.to_word(tmp_path / "t.doc")
    with pytest.raises(OptionError, match="does not exist; create it first"):
        comparison.to_word(tmp_path / "no" / "t.docx")
    monkeypatch.setitem(sys.modules, "maketables", None)
    with pytest.raises(OptionError, match=r'pip install "econllm\[tables\]"'):
        comparison.to_word(tmp_path / "t.docx")
    assert list(tmp_path.iterdir()) == []
