import re

from hypothesis import given
from hypothesis import strategies as st

from econllm.regtable import TableFacts
from econllm.regtable.naming import display_name, labelled

JOBS = {"4": "Clerk", "5": "Cook"}


def test_labels_and_titles_replace_names_and_codes():
    labels = {"educ": "years of schooling", "un": "union member"}
    assert display_name("educ", labels, "job", JOBS) == "years of schooling"
    assert display_name("lag(un)[(none)]", labels, "job", JOBS) == "lag(union member)[(none)]"
    assert display_name("lag(job)[5]", labels, "job", JOBS) == "lag(job)[Cook]"
    assert display_name("lag(job)[(none)]", labels, "job", JOBS) == "lag(job)[(none)]"
    assert display_name("C(year)[4]", labels, "job", JOBS) == "C(year)[4]"


def test_only_whole_names_are_replaced():
    labels = {"un": "union member", "np": "net pay"}
    assert display_name("union", labels, "job", JOBS) == "union"
    assert display_name("np.log(un)", labels, "job", JOBS) == "np.log(union member)"
    assert display_name("g[un]", {"un": "x"}, "job", JOBS) == "g[un]"


def test_a_label_is_not_read_as_a_name():
    assert display_name("a:b", {"a": "b", "b": "a"}, "job", JOBS) == "b:a"
    assert display_name("educ", {"educ": r"\1 \g<0>"}, "job", JOBS) == r"\1 \g<0>"


def test_the_users_labels_win_over_those_of_the_data():
    facts = TableFacts("job", {5: "Cook"}, {"educ": "years of schooling"})
    assert labelled("educ:lag(job)[5]", facts, {"educ": "Schooling", 5: "Chef"}) == "Schooling:lag(job)[Chef]"
    assert labelled("educ:lag(job)[5]", facts, {"educ:lag(job)[5]": "Both"}) == "Both"
    assert labelled("lag(job)[5]", facts, {re.compile("lag"): "last "}) == "last (job)[5]"


@given(st.text(), st.dictionaries(st.text(min_size=1), st.text()), st.text())
def test_any_text_has_a_name_and_without_labels_its_own(term, labels, outcome):
    assert isinstance(labelled(term, TableFacts(outcome, {5: "Cook"}), labels), str)
    assert labelled(term, TableFacts(), {}) == term


@given(st.from_regex(r"[a-z]{1,6}", fullmatch=True), st.text())
def test_a_variable_takes_its_label_wherever_it_stands_alone(name, label):
    facts = TableFacts(variables={name: label})
    assert labelled(f"{name}:C(1)", facts, {}) == f"{label}:C(1)"
    assert labelled(f"{name}x", facts, {}) == f"{name}x"
