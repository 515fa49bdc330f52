"""Saved results come back to the last bit, and hold no row of the data."""

import json
import pickle
import stat

import numpy as np
import pandas as pd
import pytest
from encoders.conftest import make_encoder
from hypothesis import given
from hypothesis import strategies as st

from econllm import io
from econllm.datasets import simulate_careers
from econllm.empirical import Empirical
from econllm.errors import DataError, FormulaError, OptionError
from econllm.io import load, pack, unpack
from econllm.multinomial import MNLogit
from econllm.panel import CareerPanel

MODELS = [
    Empirical(),
    Empirical(order=2, two_stage=True, smoothing=0.3),
    Empirical(normalization="printed"),
    MNLogit("occupation ~ lag(occupation) + C(year) + poly(exper, 2) + bag(occupation)", penalty="l2", alpha=0.01),
    MNLogit("occupation ~ educ + sex", base=3),
    MNLogit("occupation ~ standardize(educ) + lag(wage) + changed(occupation)", penalty="l2"),
]


@pytest.fixture(scope="module")
def careers() -> CareerPanel:
    panel = simulate_careers(120, 4, records=(3, 6))
    frame = panel.to_frame()
    # Codes of their own, so that base=3 is one of them, and a wage that no other number of the result can equal.
    frame["occupation"] = frame["occupation"].rank(method="dense").astype(int)
    frame["wage"] = np.random.default_rng(0).permutation(len(frame)) + 713_000.125
    return CareerPanel(
        frame, "person", "year", "occupation", static=["sex", "birth_year"], dynamic=["educ", "exper"], lagged=["wage"]
    )


def same(a, b, panel) -> None:
    assert a.log_proba(panel).tobytes() == b.log_proba(panel).tobytes()
    assert a.log_likelihood(panel).equals(b.log_likelihood(panel))
    assert (a.model, a.choices, a.info) == (b.model, b.choices, b.info)
    assert str(a) == str(b)


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_round_trip_to_the_last_bit(model, careers, tmp_path) -> None:
    train, test = careers.split([0.7, 0.3])
    fitted = model.fit(train, seed=1)
    folder = tmp_path / "fit"
    fitted.save(folder)
    assert sorted(p.name for p in folder.iterdir()) == ["arrays.safetensors", "results.json"]
    same(fitted, load(folder), test)
    same(fitted, pickle.loads(pickle.dumps(fitted)), test)
    same(fitted, load(str(folder)), careers)


def test_all_numbers_of_a_multinomial_logit_come_back(careers, tmp_path) -> None:
    for i, model in enumerate([MNLogit("occupation ~ educ + sex"), MNLogit("occupation ~ educ", penalty="l2")]):
        fitted = model.fit(careers, seed=3)
        fitted.save(tmp_path / str(i))
        back = load(tmp_path / str(i))
        pd.testing.assert_frame_equal(fitted.tidy(), back.tidy(), check_exact=True)
        pd.testing.assert_frame_equal(fitted.glance(), back.glance(), check_exact=True)
        if fitted.cov is None:
            pd.testing.assert_frame_equal(fitted.path.frame, back.path.frame, check_exact=True)
            pd.testing.assert_frame_equal(fitted.path.term_norms, back.path.term_norms, check_exact=True)
        else:
            pd.testing.assert_frame_equal(fitted.cov, back.cov, check_exact=True)


def test_embeddings_with_components(careers, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("ECONLLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    encoder = make_encoder(tmp_path / "tiny")
    panel = careers.subset(careers.persons[:40])
    formula = f"occupation ~ embed(resume, model='{encoder}', components=3) + educ"
    fitted = MNLogit(formula, penalty="l2", alpha=0.01).fit(panel)
    assert fitted.params.index.get_level_values("term").nunique() == 1 + 3 + 1
    fitted.save(tmp_path / "fit")
    same(fitted, load(tmp_path / "fit"), panel)


def test_labels_of_a_data_frame_come_back(tmp_path) -> None:
    rng = np.random.default_rng(0)
    df = pd.DataFrame({"y": rng.choice(["ü_&", "b"], 80), "g": rng.choice([True, False], 80), "x": rng.normal(size=80)})
    df["y"] = pd.Categorical(df["y"], categories=["ü_&", "never", "b"])
    fitted = MNLogit("y ~ g + x + C(g):x", penalty="l2", alpha=0.1).fit(df)
    fitted.save(tmp_path / "fit")
    back = load(tmp_path / "fit")
    assert back.choices.codes == ("ü_&", "never", "b")
    assert back.info.unseen == ("never",)
    assert back.predict_proba(df).equals(fitted.predict_proba(df))


# What is written


def test_no_value_of_the_data_is_written(careers, tmp_path) -> None:
    frame = careers.to_frame()
    for i, model in enumerate(MODELS):
        fitted = model.fit(careers, seed=1)
        fitted.save(tmp_path / str(i))
        content = b"".join(path.read_bytes() for path in sorted((tmp_path / str(i)).iterdir()))
        for wage in frame["wage"]:
            assert np.float64(wage).tobytes() not in content
            assert str(wage).encode() not in content
        # No array is as long as the data or the number of persons.
        lengths = {len(frame), careers.describe().persons}
        assert not any(lengths & set(a.shape) for a in _arrays(tmp_path / str(i)).values())
        assert b"pickle" not in content


def _arrays(folder) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(folder / "arrays.safetensors")


def test_json_can_be_read(careers, tmp_path) -> None:
    MODELS[0].fit(careers).save(tmp_path / "fit")
    content = json.loads((tmp_path / "fit" / "results.json").read_text(encoding="utf-8"))
    assert content["class"] == "EmpiricalResults"
    assert content["choices"]["codes"] == [1, 2, 3, 4]
    # Others in a project may read it, as any file that the user writes.
    (tmp_path / "plain").mkdir()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("fit", "plain")}
    assert len(modes) == 1


# What is refused


def test_existing_folders(careers, tmp_path) -> None:
    first, second = MODELS[0].fit(careers), MODELS[1].fit(careers)
    first.save(tmp_path / "fit")
    with pytest.raises(OptionError, match="exists already; pass overwrite=True"):
        second.save(tmp_path / "fit")
    second.save(tmp_path / "fit", overwrite=True)
    assert load(tmp_path / "fit").model == MODELS[1]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("years of work")
    with pytest.raises(OptionError, match="exists already; it is no saved result"):
        first.save(tmp_path / "other", overwrite=True)
    with pytest.raises(OptionError, match="does not exist; create it first"):
        first.save(tmp_path / "no" / "fit")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fit", "other"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_failure_leaves_what_was_there(careers, tmp_path, monkeypatch, overwrite) -> None:
    first, second = MODELS[0].fit(careers), MODELS[1].fit(careers)
    if overwrite:
        first.save(tmp_path / "fit")

    def full_disk(*_: object, **__: object) -> None:
        raise OSError("no space left")

    real = io.os.replace
    for name in ("safetensors.numpy.save", "econllm.io.os.replace"):
        calls = []

        def last_one_fails(a, b, calls=calls) -> None:
            calls.append(a)
            if str(a).endswith(".new"):
                raise OSError("no space left")
            real(a, b)

        with monkeypatch.context() as patch:
            patch.setattr(name, full_disk if "save" in name else last_one_fails)
            with pytest.raises(OSError, match="no space left"):
                second.save(tmp_path / "fit", overwrite=overwrite)
        assert [p.name for p in tmp_path.iterdir()] == (["fit"] if overwrite else [])
    if overwrite:
        same(first, load(tmp_path / "fit"), careers)


def test_objects_of_the_caller_are_refused_by_name(careers, tmp_path) -> None:
    fitted = MNLogit("occupation ~ twice(educ)", penalty="l2", alpha=0.1, context={"twice": lambda x: 2 * x}).fit(
        careers
    )
    with pytest.raises(FormulaError, match="'twice' cannot be saved"):
        fitted.save(tmp_path / "fit")
    assert not list(tmp_path.iterdir())
    unused = MNLogit("occupation ~ educ", penalty="l2", alpha=0.1, context={"twice": lambda x: 2 * x}).fit(careers)
    unused.save(tmp_path / "fit")
    assert load(tmp_path / "fit").log_proba(careers).tobytes() == unused.log_proba(careers).tobytes()


def test_loading_what_is_no_result(careers, tmp_path) -> None:
    with pytest.raises(DataError, match=r"holds no saved result: results.json is missing"):
        load(tmp_path)
    MODELS[0].fit(careers).save(tmp_path / "fit")
    path = tmp_path / "fit" / "results.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    for change in ({"format": 99, "econllm": "9.0"}, {"class": "Other"}):
        path.write_text(json.dumps(content | change))
        with pytest.raises(DataError, match=r"written by econllm .* in a format that version .* does not read"):
            load(tmp_path / "fit")
    for text in ("{", "[]"):
        path.write_text(text)
        with pytest.raises(DataError, match="damaged or incomplete"):
            load(tmp_path / "fit")
    path.write_text(json.dumps(content))
    (tmp_path / "fit" / "arrays.safetensors").write_bytes(b"short")
    with pytest.raises(DataError, match="damaged or incomplete"):
        load(tmp_path / "fit")
    (tmp_path / "fit" / "arrays.safetensors").unlink()
    with pytest.raises(DataError, match="damaged or incomplete"):
        load(tmp_path / "fit")


# Packing

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=12,
)


@given(plain)
def test_packing_is_undone(value) -> None:
    arrays: dict[str, np.ndarray] = {}
    assert unpack(json.loads(json.dumps(pack(value, arrays, "x"))), arrays) == value


def test_packing_arrays_and_odd_keys() -> None:
    arrays: dict[str, np.ndarray] = {}
    value = {"__array__": 1, (1, "a"): np.arange(3.0)[::-1], 2: np.array(1.5), "z": np.zeros((0, 2)), "b": np.bool_(1)}
    back = unpack(json.loads(json.dumps(pack(value, arrays, "x"))), arrays)
    assert back["__array__"] == 1
    assert back[1, "a"].tolist() == [2, 1, 0]
    assert (back[2].shape, back["z"].shape, back["b"]) == ((), (0, 2), True)
    with pytest.raises(DataError, match=r"x.deep.0 holds a object, which cannot be saved"):
        pack({"deep": [object()]}, {}, "x")
    with pytest.raises(DataError, match="x holds a ndarray"):
        pack(np.array(["a"]), {}, "x")


def test_parts_that_do_not_fit_are_named_as_damage(careers, tmp_path) -> None:
    Empirical().fit(careers).save(tmp_path / "fit")
    content = json.loads((tmp_path / "fit" / "results.json").read_text(encoding="utf-8"))
    for broken in ({"model": {"no_such_option": 1}}, {"state": {}}):
        (tmp_path / "fit" / "results.json").write_text(json.dumps({**content, **broken}), encoding="utf-8")
        with pytest.raises(DataError, match="its parts do not fit"):
            load(tmp_path / "fit")


def test_whoever_may_read_one_file_may_read_the_other(careers, tmp_path) -> None:
    Empirical().fit(careers).save(tmp_path / "fit")
    assert len({path.stat().st_mode for path in (tmp_path / "fit").iterdir()}) == 1
