"""Nothing that is pickled or saved holds values of the data."""

import pickle
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import econllm as el
from econllm.multinomial import MNLogit
from econllm.panel import CareerPanel

# Numbers that nothing but the data can bring in.
INCOME, PRICE, WEIGHT, WAGE = 123456789.125, 98765.4375, 31337.0625, 55555.28125
PERSON, VILLAGE, REGION = 777000111, "secret village", "secret region"
CODES = (10, 20, 30)


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    persons, years = 60, 5
    n = persons * years
    ids = np.repeat(np.arange(persons), years) + PERSON
    df = pd.DataFrame({"person": ids, "year": np.tile(np.arange(years), persons)})
    df["income"] = rng.normal(size=n) + INCOME
    df["wage"] = rng.normal(size=n) + WAGE
    df["village"] = [f"{VILLAGE} {v}" for v in (df["person"] - PERSON) % 20]
    df["region"] = [f"{REGION} {v}" for v in (df["person"] - PERSON) % 2]
    df["weight"] = WEIGHT + (df["person"] - PERSON) % 3
    utility = rng.gumbel(size=(n, 3))
    for j, code in enumerate(CODES):
        df[f"price[{code}]"] = rng.normal(size=n) + PRICE
        utility[:, j] -= 0.5 * (df[f"price[{code}]"] - PRICE)
        df[f"able[{code}]"] = rng.random(n) < 0.9
    df["occupation"] = np.array(CODES)[utility.argmax(axis=1)]
    for code in CODES:
        df.loc[df["occupation"] == code, f"able[{code}]"] = True
    # One recognisable value each, exactly.
    df.loc[7, ["income", "wage", "price[20]"]] = INCOME, WAGE, PRICE
    return df


def make() -> CareerPanel:
    return CareerPanel(
        frame(),
        "person",
        "year",
        "occupation",
        static=["village", "region"],
        dynamic=["income", "price[alt]", "able[alt]"],
        lagged=["wage"],
        weights="weight",
    )


def traces() -> dict[str, list[bytes]]:
    """Every way in which a value may be written."""
    numbers = {"income": INCOME, "price": PRICE, "wage": WAGE, "weight": WEIGHT}
    out = {
        name: [struct.pack("<d", v), struct.pack(">d", v), struct.pack("<f", v), repr(v).encode()]
        for name, v in numbers.items()
    }
    # A long enough run of persons; a single number of four bytes may turn up by chance.
    out["person"] = [struct.pack(kind, PERSON + i) for kind in ("<q", ">q", "<d") for i in (0, 7, 59)]
    out["person"] += [str(PERSON + i).encode() for i in (0, 7, 59)]
    out["village"], out["region"] = [VILLAGE.encode()], [REGION.encode()]
    return out


FITS = {
    "plain": MNLogit("occupation ~ income + lag(wage)", cov_type="nonrobust"),
    "clustered": MNLogit("occupation ~ income", cluster="village", strata="region"),
    "two ways": MNLogit("occupation ~ income", cluster=("person", "village")),
    "bootstrap": MNLogit("occupation ~ income", cov_type="bootstrap", replications=3, cluster="village"),
    "weighted": MNLogit("occupation ~ income", weighted=True),
    "two stages": MNLogit("occupation ~ income", penalty="l2", alpha="cv", folds=2, two_stage=True),
    "choice sets": MNLogit("occupation ~ income | price[alt] + stay()", choice_sets="able"),
    "offset": MNLogit("occupation ~ income", offset="price", cov_type=None),
    "cv": MNLogit("occupation ~ income", penalty="l2", alpha="cv", folds=2),
    "lasso": MNLogit("occupation ~ income | price[alt]", penalty="l1", folds=2, path=5),
}


@pytest.fixture(scope="module")
def panel() -> CareerPanel:
    return make()


@pytest.fixture(scope="module", params=list(FITS))
def fitted(request, panel):
    return FITS[request.param].fit(panel, seed=0)


def found_in(content: bytes) -> list[str]:
    return [name for name, ways in traces().items() if any(way in content for way in ways)]


def test_the_search_finds_what_is_there(panel) -> None:
    assert found_in(pickle.dumps(frame())) == ["income", "price", "wage", "weight", "person", "village", "region"]
    text = frame().to_csv().encode()
    assert set(found_in(text)) == set(traces())


def test_pickles_hold_no_values_of_the_data(fitted, panel) -> None:
    content = pickle.dumps(fitted)
    assert found_in(content) == []
    back = pickle.loads(content)
    assert np.array_equal(back.log_proba(panel), fitted.log_proba(panel))
    assert back.params.equals(fitted.params)
    assert back.std_errors.equals(fitted.std_errors)
    assert str(back) == str(fitted)


def test_saved_folders_hold_no_values_of_the_data(fitted, panel, tmp_path) -> None:
    fitted.save(tmp_path / "fit")
    for path in (tmp_path / "fit").rglob("*"):
        assert path.is_dir() or found_in(path.read_bytes()) == [], path
    back = el.load(tmp_path / "fit")
    assert np.array_equal(back.log_proba(panel), fitted.log_proba(panel))


def test_summaries_hold_no_values_of_the_data(fitted) -> None:
    assert found_in(str(fitted).encode()) == []
    assert found_in(fitted.summary().to_latex().encode()) == []
    assert found_in(repr(fitted).encode()) == []


def test_folds_stay_in_memory(panel) -> None:
    fitted = FITS["cv"].fit(panel, seed=0)
    assert fitted.folds.index.min() == PERSON
    assert pickle.loads(pickle.dumps(fitted)).folds is None
    staged = FITS["two stages"].fit(panel, seed=0)
    assert staged.move.folds is not None
    assert pickle.loads(pickle.dumps(staged)).move.folds is None


def test_checkpoints_hold_coefficients_only(panel, tmp_path) -> None:
    table = pd.DataFrame({"row": [INCOME]})
    model = FITS["bootstrap"].replace(context={"table": table})
    model.fit(panel, seed=0, checkpoint=tmp_path / "runs")
    files = list(Path(tmp_path / "runs").iterdir())
    assert len(files) == 4
    for path in files:
        assert found_in(path.read_bytes()) == []
