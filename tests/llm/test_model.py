"""The specification of language models: what it refuses, and what its probabilities may know."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import econllm as el
from econllm.errors import DataError, EconLLMWarning, FormulaError, MissingColumnError, ModelNotFoundError, OptionError
from econllm.llm.prediction import best_temperature, tempered
from tests.career.samples import MORE, TITLES, careers, panel, panel_of
from tests.encoders.conftest import make_encoder
from tests.llm.samples import decoder, folder, frame, handmade_folder, plain_titles, save, tokenizer

FORMULA = "tone ~ sentence"


def llm(*arguments, **options):
    return el.LLM(folder(*arguments), max_tokens=200, dtype="float64", **options)


@pytest.fixture(scope="module")
def fit():
    return llm().fit(panel(6))


@pytest.fixture(scope="module")
def framed():
    return llm(formula=FORMULA).fit(frame())


# The specification


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": ""}, "model='' is not allowed: give 'tiny', a model's name or a folder"),
        ({"model": None}, "model=None is not allowed"),
        ({"loss": "title"}, "loss='title' .* Did you mean 'titles'"),
        ({"normalize": "globl"}, "Did you mean 'global'"),
        ({"engine": "trie"}, "Did you mean 'tree'"),
        ({"dtype": "float16"}, "dtype='float16' is not an option"),
        ({"tuning": "ful"}, "Did you mean 'full'"),
        ({"tuning": el.LoRA}, r"write LoRA\(\)"),
        ({"prompt": "Guess."}, r"prompt='Guess.' is not allowed: give Prompt\(...\) or None"),
        ({"template": "x"}, r"give ResumeTemplate\(...\) or None"),
        ({"tuning": "full", "training": 3}, r"give Training\(...\) or None"),
        ({"tol": -0.1}, "tol=-0.1"),
        ({"tol": "a"}, "tol='a'"),
        ({"temperature": 0}, "temperature=0"),
        ({"temperature": "validate"}, "Did you mean 'validation'"),
        ({"max_tokens": 2}, "max_tokens=2"),
        ({"max_tokens": 30.5}, "max_tokens=30.5"),
        ({"device": 0}, "device=0 is not a device"),
        ({"weighted": "yes", "tuning": "full"}, "weighted='yes'"),
        ({"normalize": "raw", "tol": 0.1}, "normalize='raw' gives the product as it is"),
        ({"normalize": "raw", "temperature": 2.0}, "normalize='raw' gives the product as it is"),
        ({"normalize": "raw", "temperature": "validation"}, "normalize='raw' gives the product as it is"),
        ({"tol": 0.1, "engine": "kv"}, "engine='kv' has none"),
        ({"tol": 0.1, "engine": "naive"}, "engine='naive' has none"),
        ({"tol": 0.1, "temperature": 2.0}, "tol=0.1 bounds .* temperature"),
        ({"tol": 0.1, "temperature": "validation"}, "tol=0.1 bounds .* temperature"),
        ({"training": el.Training()}, "training= is for fine-tuning"),
        ({"loss": "all"}, "loss= is for fine-tuning"),
        ({"weighted": True}, "weighted= is for fine-tuning"),
        ({"formula": FORMULA, "template": el.ResumeTemplate()}, "template= words résumés"),
    ],
)
def test_options_that_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        el.LLM(**{"model": "tiny", **options})


@pytest.mark.parametrize("formula", ["tone", "tone ~ a + b", "tone ~ log(a)", "tone ~ tone", "~ a", "tone ~ 0 + a"])
def test_formulas_that_are_refused(formula):
    with pytest.raises(FormulaError):
        el.LLM("tiny", formula=formula)


def test_the_specification_rebuilds_itself():
    models = [
        el.LLM("tiny"),
        el.LLM("tiny", formula="`the tone` ~ `the sentence`", normalize="raw"),
        el.LLM("x", tuning=el.LoRA(r=4, targets=["q_proj"]), training=el.Training(epochs=2), loss="all", weighted=True),
        el.LLM("x", prompt=el.Prompt(titles=True, examples=2), tol=0.01, engine="tree", max_tokens=64),
        el.LLM("x", template=el.ResumeTemplate(titles="code"), temperature="validation", tuning=el.Frozen(2)),
        el.LLM("x", tuning=el.PromptTuning(4, "A career:"), revision="main", device="cpu", dtype="float32"),
    ]
    names = {name: getattr(el, name) for name in el.__all__}
    for model in models:
        assert eval(repr(model), names) == model
        assert model.replace(max_tokens=99).max_tokens == 99
        assert model.replace(max_tokens=99).replace(max_tokens=model.max_tokens) == model
    assert el.LLM(Path("a") / "b") == el.LLM("a/b")


# What cannot be had


def test_a_model_that_does_not_exist(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelNotFoundError, match="this folder does not exist"):
        el.LLM("/no/such/folder").fit(panel(6))
    with pytest.raises(ModelNotFoundError, match="no model hub can be reached"):
        el.LLM("nobody/nothing").fit(panel(6))
    with pytest.raises(ModelNotFoundError, match="Did you mean 'tiny'"):
        el.LLM("tyny").fit(panel(6))
    with pytest.raises(ModelNotFoundError, match=r"no \*\.safetensors weights"):
        el.LLM(tmp_path).fit(panel(6))


def test_an_encoder_is_no_language_model(tmp_path):
    make_encoder(tmp_path)
    with pytest.raises(OptionError, match=r"is a 'BertModel', no causal language model: .*el.EncoderClassifier"):
        el.LLM(tmp_path).fit(panel(6))


def test_data_of_the_wrong_kind():
    with pytest.raises(DataError, match="a CareerPanel needs no formula"):
        llm(formula=FORMULA).fit(panel(6))
    with pytest.raises(DataError, match="formula='label ~ text'"):
        llm().fit(frame())
    with pytest.raises(DataError, match="formula='label ~ text'"):
        llm().fit(panel(6), validation=careers())
    with pytest.raises(DataError, match="have no rows"):
        llm(formula=FORMULA).fit(frame()[:0])
    with pytest.raises(DataError, match="validation sample has no rows"):
        llm(formula=FORMULA).fit(frame(), validation=frame()[:0])
    with pytest.raises(MissingColumnError, match="sentence"):
        llm(formula=FORMULA).fit(frame().rename(columns={"sentence": "sentences"}))
    with pytest.raises(DataError, match="1 of 12 rows have no text"):
        llm(formula=FORMULA).fit(frame().assign(sentence=lambda d: d["sentence"].where(d.index != "r3")))
    with pytest.raises(DataError, match="single title"):
        llm(formula=FORMULA).fit(frame().query("tone == 'good'"))


def test_arguments_of_fit_that_do_not_go_together(tmp_path):
    with pytest.raises(OptionError, match="nothing is trained without tuning="):
        llm().fit(panel(6), seed=0, checkpoint=tmp_path)
    with pytest.raises(OptionError, match="needs a fixed seed: seed=0, say"):
        llm(tuning="full").fit(panel(6), checkpoint=tmp_path)
    with pytest.raises(OptionError, match="temperature='validation' needs a validation sample"):
        llm(temperature="validation").fit(panel(6))
    with pytest.raises(OptionError, match="cuda"):
        el.LLM(folder(), device="cuda:99").fit(panel(6))


def test_a_context_without_room_for_a_title():
    with pytest.raises(OptionError, match=r"the model reads 4 tokens, and the title '.*' alone takes \d"):
        el.LLM(folder(), max_tokens=4).fit(panel(6))
    with pytest.raises(OptionError, match="reads 3 tokens"):
        el.LLM(folder(context=3)).fit(panel(6))


def test_a_tokenizer_without_special_tokens_is_one_like_others():
    fit = el.LLM(folder(kind="bare"), dtype="float64").fit(panel(6))
    assert len(fit.predictor.words.language.opening) == 0
    ids = tokenizer("bare")(panel(6).resumes()[0].text)["input_ids"]
    expected = plain_titles(fit, ids)
    assert fit.predictor.raw(fit._documents(panel(6)))[0][0] == pytest.approx(expected, abs=1e-9)


def test_a_way_of_reading_that_is_wrong_is_refused_before_training(monkeypatch):
    import econllm.llm.fitting

    monkeypatch.setattr(econllm.llm.fitting, "train", lambda *_, **__: pytest.fail("trained in vain"))
    for tuning in (None, "full"):
        with pytest.raises(OptionError, match="engine='tree' is off by"):
            llm("gpt_neo", engine="tree", tuning=tuning).fit(panel(4), seed=0)


def test_a_slower_way_is_taken_with_a_warning():
    with pytest.warns(EconLLMWarning, match="engine='kv' is used, which is right, but slower"):
        fit = llm("gpt_neo").fit(panel(6))
    assert fit.engine == "kv"
    ids = tokenizer()(panel(6).resumes()[2].text)["input_ids"]
    assert len(ids) < 180
    assert fit.predictor.raw(fit._documents(panel(6)))[0][2] == pytest.approx(plain_titles(fit, ids), abs=1e-4)


# Probabilities


def test_the_example_of_the_slides():
    df = pd.DataFrame({"tone": ["Data scientist", "Cook"], "x": ["x", "x x"]})
    fit = el.LLM(handmade_folder(), formula="tone ~ x", dtype="float64").fit(df)
    assert fit.choices.titles == ("Cook", "Data scientist")
    assert fit.predict_proba(df).to_numpy() == pytest.approx(np.array([[0.6, 0.4]] * 2), abs=1e-6)
    assert fit.mass(df).tolist() == pytest.approx([0.6, 0.6], abs=1e-6)
    assert fit.title_mass == pytest.approx(0.6, abs=1e-6)
    raw = fit.model.replace(normalize="raw").fit(df)
    assert raw.predict_proba(df).to_numpy() == pytest.approx(np.array([[0.36, 0.24]] * 2), abs=1e-6)
    assert np.exp(raw.log_likelihood(df)).tolist() == pytest.approx([0.24, 0.36], abs=1e-6)
    assert raw.flags == ("conservative",)


@pytest.mark.parametrize("engine", ["tree", "kv", "naive"])
def test_probabilities_are_those_of_one_plain_pass_per_title_and_row(engine):
    data = panel(6)
    fit = llm(engine=engine).fit(data)
    assert fit.engine == engine
    found = fit.log_proba(data)
    for row, resume in enumerate(data.resumes()):
        ids = tokenizer()(resume.text)["input_ids"]
        if len(ids) + fit.predictor.trie.longest <= 200:
            raw = plain_titles(fit, ids)
            assert found[row] == pytest.approx(raw - np.logaddexp.reduce(raw), abs=1e-6)


def test_rows_sum_to_one_or_to_the_mass_of_titles(fit, framed):
    for one, data in ((fit, panel(6)), (framed, frame())):
        assert np.exp(one.log_proba(data)).sum(axis=1) == pytest.approx(1, abs=1e-12)
        raw = one.model.replace(normalize="raw").fit(data)
        mass = np.exp(raw.log_proba(data)).sum(axis=1)
        assert (mass < 1).all()
        assert one.mass(data).to_numpy() == pytest.approx(mass)
        assert raw.mass(data).equals(one.mass(data))
        scale = np.logaddexp.reduce(raw.log_proba(data), axis=1)[:, None]
        assert raw.log_proba(data) - scale == pytest.approx(one.log_proba(data), abs=1e-9)


def test_a_title_that_begins_another():
    titles = {1: "Cooks", 2: "Cooks, private household", 3: "Cook"}
    df = careers(10).assign(job=lambda d: d["job"].map(lambda code: code // 10 % 3 + 1))
    data = panel_of(df, el.ChoiceSet.from_titles(titles))
    fit = llm().fit(data)
    assert np.exp(fit.log_proba(data)).sum(axis=1) == pytest.approx(1, abs=1e-12)
    ids = tokenizer()(data.resumes()[0].text)["input_ids"]
    expected = plain_titles(fit, ids)
    assert fit.predictor.raw(fit._documents(data))[0][0] == pytest.approx(expected, abs=1e-6)


def test_the_log_likelihood_is_the_log_probability_of_what_happened(fit, framed):
    for one, data in ((fit, panel(6)), (framed, frame())):
        for model in (one, one.model.replace(normalize="raw").fit(data), one.model.replace(temperature=2.5).fit(data)):
            outcome = model.sample(data).outcome
            expected = model.log_proba(data)[np.arange(len(outcome)), outcome]
            found = model.log_likelihood(data)
            assert found.to_numpy() == pytest.approx(expected, abs=1e-6)
            assert found.index.equals(data.index)


# Nothing of the future


def changed(df, person, year, **values):
    rows = (df["id"] == person) & (df["year"] >= year)
    assert rows.any()
    return df.assign(**{name: df[name].where(~rows, value) for name, value in values.items()})


def test_later_records_and_what_happens_are_not_read(fit):
    df = careers(6)
    data = panel_of(df)
    base = pd.DataFrame(fit.log_proba(data), index=data.index)
    years = df.loc[data.index, "year"]
    lengths = df.groupby("id").size()
    person = lengths.index[lengths >= 5][0]
    year = sorted(df.loc[df["id"] == person, "year"])[2]
    other = df.loc[(df["id"] == person) & (df["year"] == year), "job"].iloc[0] % 50 + 10
    now = (df.loc[data.index, "id"] == person) & (years == year)
    before = ~(df.loc[data.index, "id"] == person) | (years < year)
    # The outcome and what describes the job of a record change nothing for it, only for later ones.
    for values in ({"job": other}, {"hours": 77.0}, {"sector": "unheard of"}, {"job": other, "hours": 1.0}):
        found = pd.DataFrame(fit.log_proba(panel_of(changed(df, person, year, **values))), index=data.index)
        assert np.abs(found - base)[before | now].max().max() <= 1e-9
        assert np.abs(found - base)[~(before | now)].max().max() > 1e-3
    # What is known before it does.
    found = pd.DataFrame(fit.log_proba(panel_of(changed(df, person, year, educ=3.0))), index=data.index)
    assert np.abs(found - base)[before].max().max() <= 1e-9
    assert np.abs(found - base)[now].max().max() > 1e-3
    # Careers that end earlier.
    cut = df[~((df["id"] == person) & (df["year"] > year))]
    found = pd.DataFrame(fit.log_proba(panel_of(cut)), index=panel_of(cut).index)
    assert np.abs(found - base.loc[found.index]).max().max() <= 1e-9


def test_a_row_alone_has_the_probabilities_of_a_row_among_others(fit):
    data = panel(6)
    base = pd.DataFrame(fit.log_proba(data), index=data.index)
    early, late = data.split_time(1994)
    for part in (early, late, data.subset(data.persons[2:4])):
        found = pd.DataFrame(fit.log_proba(part), index=part.index)
        assert np.abs(found - base.loc[part.index]).max().max() <= 1e-9
    drawn = data.resample(seed=0)
    first = dict(zip(data.origin_ids[data.is_first], base.to_numpy()[data.is_first], strict=True))
    expected = np.array([first[origin] for origin in drawn.origin_ids[drawn.is_first]])
    assert fit.log_proba(drawn)[drawn.is_first] == pytest.approx(expected, abs=1e-9)


def test_labels_of_a_data_frame_are_not_read(framed):
    base = framed.log_proba(frame())
    assert np.array_equal(framed.log_proba(frame().drop(columns="tone")), base)
    assert np.array_equal(framed.log_proba(frame().assign(tone="bad")), base)
    assert np.array_equal(framed.mass(frame().drop(columns="tone")), framed.mass(frame()))
    mixed = frame().iloc[::-1]
    assert np.abs(framed.log_proba(mixed)[::-1] - base).max() <= 1e-9
    with pytest.raises(MissingColumnError, match="tone"):
        framed.log_likelihood(frame().drop(columns="tone"))


def test_labels_with_words_of_their_own():
    df = frame().assign(tone=lambda d: (d["tone"] == "good").astype(int))
    df.attrs["value_labels"] = {"tone": {0: "bad", 1: "good"}}
    worded, plain = (llm(formula=FORMULA).fit(data) for data in (df, frame()))
    assert worded.choices.codes == (0, 1)
    assert np.array_equal(worded.log_proba(df), plain.log_proba(frame()))
    assert worded.predict(df).isin([0, 1]).all()


def test_panels_of_another_make_are_refused(fit):
    other = panel_of(careers(6), lagged=[])
    with pytest.raises(DataError, match="the same static, dynamic and lagged columns"):
        fit.log_proba(other)
    with pytest.raises(DataError, match="the same static, dynamic and lagged columns"):
        llm().fit(panel(6), validation=other)
    with pytest.raises(DataError, match="ChoiceSet"):
        fit.log_proba(panel_of(careers(6).assign(job=lambda d: d["job"].replace(10, 60)), MORE))


def test_a_template_of_its_own_words_the_resumes():
    codes = llm(template=el.ResumeTemplate(titles="code", details="")).fit(panel(6))
    assert codes.predictor.titles == tuple(str(code) for code in TITLES)
    text = tokenizer().decode(codes._documents(panel(6)).items[2].ids)
    assert not any(title in text for title in TITLES.values())
    again = llm().fit(panel(6).with_template(el.ResumeTemplate(titles="code", details="")))
    assert np.array_equal(codes.log_proba(panel(6)), again.log_proba(panel(6).with_template(again.template)))
    # In prediction the wording is that of estimation.
    assert np.array_equal(codes.log_proba(panel(6)), again.log_proba(panel(6)))


# Temperature


def test_a_temperature_flattens(fit):
    data = panel(6)
    p = fit.predict_proba(data).to_numpy()
    for temperature in (0.3, 1.0, 4.0):
        found = fit.model.replace(temperature=temperature).fit(data)
        assert found.temperature == temperature
        expected = p ** (1 / temperature)
        assert found.predict_proba(data).to_numpy() == pytest.approx(expected / expected.sum(axis=1)[:, None], abs=1e-9)
        assert found.title_mass == fit.title_mass


@pytest.mark.parametrize("seed", range(4))
def test_the_best_temperature_is_that_of_a_grid(seed):
    g = np.random.default_rng(seed)
    raw = g.normal(size=(60, 5)) * g.uniform(0.5, 6) - 20
    outcome = np.where(g.random(60) < 0.5, raw.argmax(axis=1), g.integers(0, 5, 60))
    grid = np.exp(np.linspace(-np.log(20), np.log(20), 4001))
    scores = [tempered(raw, t)[np.arange(60), outcome].mean() for t in grid]
    found = best_temperature(raw, outcome)
    assert np.log(found) == pytest.approx(np.log(grid[np.argmax(scores)]), abs=0.01)
    assert tempered(raw, found)[np.arange(60), outcome].mean() >= max(scores) - 1e-9


def test_the_validation_sample_chooses_the_temperature(fit):
    train, valid = panel(6).split([0.5, 0.5], seed=0)
    found = fit.model.replace(temperature="validation").fit(train, validation=valid)
    base = fit.model.fit(train)
    raw = base.predictor.raw(base._documents(valid))[0]
    assert found.temperature == best_temperature(raw, valid.outcome)
    assert found.temperature != 1.0
    assert found.chosen == {"temperature": found.temperature}
    assert found.log_likelihood(valid).mean() > base.log_likelihood(valid).mean()
    assert "Temperature" in str(found)
    assert "Temperature" not in str(base)


def test_a_fit_off_the_shelf_changes_no_weight_and_draws_nothing():
    state = torch.random.get_rng_state()
    one, two = llm().fit(panel(6), seed=0), llm().fit(panel(6), seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.array_equal(one.log_proba(panel(6)), two.log_proba(panel(6)))
    assert one.predictor.decoder.network is two.predictor.decoder.network
    assert not one.predictor.decoder.network.training


def test_weights_that_lack_parts_are_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    network = decoder("llama", torch.float32).network
    place = Path(save(network, tokenizer()))
    weights = load_file(place / "model.safetensors")
    weights.pop("model.layers.1.mlp.up_proj.weight")
    save_file(weights, place / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        ModelNotFoundError, match=re.escape("lack 1 parts of its network: 'model.layers.1.mlp.up_proj.weight'")
    ):
        el.LLM(place).fit(panel(6))
