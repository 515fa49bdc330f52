import pandas as pd

import econllm as el
from econllm.choices import ChoiceSet
from econllm.mnlogit.report import display_name

JOBS = ChoiceSet([4, 5], ["Clerk", "Cook"])


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


def test_stata_labels_reach_the_summary(tmp_path):
    df = pd.DataFrame(
        {"id": [1, 1, 2, 2, 3, 3], "year": [2000, 2001] * 3, "job": [1, 2, 2, 1, 1, 2], "ed": [9, 9, 12, 12, 10, 10]}
    )
    labels = {"ed": "years of schooling", "job": "main job"}
    df.to_stata(
        tmp_path / "a.dta", write_index=False, variable_labels=labels, value_labels={"job": {1: "Clerk", 2: "Cook"}}
    )
    loaded = el.datasets.read_stata(tmp_path / "a.dta")
    panel = el.CareerPanel(loaded, person="id", time="year", occupation="job", static=["ed"])
    fitted = el.MNLogit("job ~ lag(job) + ed", penalty="l2", alpha=0.1).fit(panel)
    text = str(fitted.summary())
    assert "Multinomial logit of main job" in text
    assert "years of schooling" in text
    assert "lag(main job)[Cook]" in text
    assert ("1", "years of schooling") not in fitted.params.index  # params keep the names of the formula
    assert (2, "ed") in fitted.params.index
    fitted.save(tmp_path / "fit")
    assert "years of schooling" in str(el.load(tmp_path / "fit").summary())


def test_value_labels_of_covariates_reach_the_resume(tmp_path):
    df = pd.DataFrame({"id": [1, 1], "year": [2000, 2001], "job": [1, 2], "sex": [2, 2]})
    labels = {"job": {1: "Clerk", 2: "Cook"}, "sex": {1: "male", 2: "female"}}
    df.to_stata(tmp_path / "a.dta", write_index=False, value_labels=labels)
    loaded = el.datasets.read_stata(tmp_path / "a.dta")
    panel = el.CareerPanel(loaded, person="id", time="year", occupation="job", static=["sex"])
    assert "sex: female" in panel.resumes()[1].text
    assert "2000: Clerk" in panel.resumes()[1].text
