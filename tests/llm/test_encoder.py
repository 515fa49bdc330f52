"""Fine-tuned sentence encoders, mostly on a random one of two layers that is made here."""

import copy
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from scipy.special import log_softmax

import econllm as el
from econllm import EncoderClassifier
from econllm.encoders.network import load_network
from econllm.encoders.weights import find_encoder
from econllm.errors import DataError, FormulaError, ModelNotFoundError, OptionError
from econllm.llm.encoder_network import HEAD_RATE, SCALE, EncoderNetwork, freeze
from econllm.training import engine
from tests.encoders.conftest import make_encoder, publish

CHOICES = el.ChoiceSet([1, 2, 3, 4], ["cook", "clerk", "manager", "nurse"])
SHORT = el.ResumeTemplate(opening="", person="", closing="")
QUICK = el.Training(epochs=2, batch=8, learning_rate=1e-3)
STILL = el.Training(epochs=1, learning_rate=1e-12)
FORMULA = "label ~ text"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return str(make_encoder(tmp_path_factory.mktemp("encoder")))


@pytest.fixture
def classifier(base):
    def make(**options):
        return EncoderClassifier(base, **{"training": QUICK, "dtype": "float32", **options})

    return make


def careers(persons=10, records=4, seed=0, offset=0):
    """Everybody goes round the first three occupations; where somebody begins is chance."""
    start = np.random.default_rng(seed).integers(3, size=persons)
    rows = [(p + offset, 1980 + t, 1 + (start[p] + t) % 3) for p in range(persons) for t in range(records)]
    return pd.DataFrame(rows, columns=["id", "year", "job"])


def panel_of(df, template=SHORT, **options):
    return el.CareerPanel(df, "id", "year", "job", titles=CHOICES, template=template, **options)


@pytest.fixture
def panel():
    return panel_of(careers())


@pytest.fixture
def frame():
    words = ["cook", "clerk", "nurse", "teacher", "sales", "person"]
    texts = [f"{a} in {b}" for a in words for b in ("1980", "1981")]
    return pd.DataFrame({"label": np.where([t < "d" for t in texts], "food", "other"), "text": texts})


def weights_of(fit):
    return fit.predictor.network.state_dict()


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


# What is learned


def test_it_learns_a_rule_by_heart(classifier, panel):
    fit = classifier(training=el.Training(epochs=60, batch=10, learning_rate=5e-3)).fit(panel, seed=0)
    scores = fit.log_likelihood(panel)[~panel.is_first]
    assert np.exp(-scores.mean()) < 1.2
    assert (fit.predict(panel)[~panel.is_first] == panel.to_frame()["job"][~panel.is_first]).all()
    assert fit.history.frame["loss"].iloc[-1] < 0.5 * fit.history.frame["loss"].iloc[0]


def by_hand(fit, texts):
    """Log probabilities from the weights alone: one text at a time, float64 after the encoder."""
    from transformers import AutoTokenizer

    network = fit.predictor.network
    tokenizer = AutoTokenizer.from_pretrained(fit.model.model)
    hidden = []
    for text in texts:
        with torch.no_grad():
            found = network.encoder(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        mean = found.double().numpy().mean(axis=0)
        hidden.append(mean / np.linalg.norm(mean))
    h = np.array(hidden)
    w = {name: values.detach().double().numpy() for name, values in network.named_parameters() if "encoder" not in name}
    e, b = network.titles.double().numpy(), network.constants.double().numpy() + HEAD_RATE * w["bias"]
    logits = np.tile(b, (len(h), 1))
    if "turn" in w:
        turned = h @ (np.eye(h.shape[1]) + HEAD_RATE * w["turn"]).T
        logits += SCALE * np.exp(HEAD_RATE * w["scale"]) * turned @ e.T
    if "free" in w:
        logits += HEAD_RATE * h @ w["free"].T
    return log_softmax(logits, axis=1)


@pytest.mark.parametrize("head", ["titles+free", "titles", "free"])
def test_probabilities_are_the_softmax_of_the_formula(classifier, frame, head):
    fit = classifier(formula=FORMULA, head=head).fit(frame, seed=0)
    found = fit.log_proba(frame)
    assert found.dtype == np.float64
    assert np.allclose(found, by_hand(fit, frame["text"]), atol=1e-5)
    assert np.abs(np.exp(found).sum(axis=1) - 1).max() < 1e-12
    parts = {name for name, _ in fit.predictor.network.named_parameters() if "encoder" not in name}
    assert parts == {"bias", *(["turn", "scale"] * ("titles" in head)), *(["free"] * ("free" in head))}
    assert all(values.any() for name, values in fit.predictor.network.trained().items() if name in parts)


def test_scores_are_those_of_the_outcomes_that_happened(classifier, panel):
    fit = classifier().fit(panel, seed=0)
    table = fit.log_proba(panel)
    assert np.array_equal(fit.log_likelihood(panel), table[np.arange(len(panel)), panel.outcome])
    assert fit.info.log_likelihood == fit.log_likelihood(panel).sum()
    assert (fit.info.rows, fit.info.persons, fit.info.first_records, fit.info.truncated) == (40, 10, 10, 0.0)


@pytest.mark.parametrize("head", ["titles+free", "titles"])
def test_training_begins_at_the_similarity_of_text_and_title(classifier, head):
    labels = ["cook", "clerk in sales", "manager", "nurse", "teacher"]
    df = pd.DataFrame({"label": labels, "text": labels})
    fit = classifier(formula=FORMULA, head=head, training=STILL).fit(df, seed=0)
    assert fit.predict(df).tolist() == labels
    vectors = fit.predictor.network.titles.double().numpy()
    expected = log_softmax(SCALE * vectors @ vectors.T, axis=1)
    # Outcomes are sorted, and so are these vectors.
    order = np.argsort(labels)
    assert np.allclose(fit.log_proba(df)[order], expected, atol=1e-4)


def test_it_begins_at_the_shares_of_outcomes(classifier, panel):
    fit = classifier(head="free", training=STILL).fit(panel, seed=0)
    counts = np.bincount(panel.outcome, minlength=4)
    seen = np.exp(fit.log_proba(panel)[0, :3])
    assert np.allclose(seen / seen.sum(), (counts[:3] + 0.5) / (counts[:3] + 0.5).sum(), atol=1e-6)


# What is held


def moved(fit, base):
    """Parts of the encoder that training changed: "embeddings", 0, 1 or "pooler"."""
    before = load_network(find_encoder(base), "mean", "float32", "cpu").model.state_dict()
    after = fit.predictor.network.encoder.state_dict()
    changed = [name.split(".") for name in before if not torch.equal(before[name], after[name])]
    return {int(name[2]) if name[0] == "encoder" else name[0] for name in changed}


@pytest.mark.parametrize(("frozen", "expected"), [(0, {"embeddings", 0, 1}), (1, {1}), ("all", set())])
def test_frozen_parts_do_not_move(classifier, base, panel, frozen, expected):
    fit = classifier(frozen=frozen).fit(panel, seed=0)
    assert moved(fit, base) == expected
    trained = sum(values.numel() for values in fit.predictor.network.trained().values())
    assert fit.info.parameters == trained


SMALL = {"hidden_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 8, "vocab_size": 9}
OTHERS = [
    (transformers.DistilBertModel, {"dim": 8, "n_layers": 3, "n_heads": 2, "hidden_dim": 8, "vocab_size": 9}),
    (transformers.MPNetModel, SMALL),
    (transformers.T5EncoderModel, {"d_model": 8, "num_layers": 3, "num_heads": 2, "d_ff": 8, "d_kv": 4}),
    (transformers.AlbertModel, {**SMALL, "embedding_size": 4}),
]


def untrained(kind, options):
    with torch.random.fork_rng():
        encoder = kind(kind.config_class(**options))
    encoder = encoder.get_encoder() if kind is transformers.T5EncoderModel else encoder
    return EncoderNetwork(encoder, "mean", torch.eye(8), torch.zeros(8), "titles")


@pytest.mark.parametrize(("kind", "options"), OTHERS[:3], ids=lambda value: getattr(value, "__name__", ""))
def test_layers_are_found_in_other_encoders(kind, options):
    network = untrained(kind, options)
    freeze(network, 2, "other")
    for name, values in network.encoder.named_parameters():
        number = re.search(r"(?:layer|block)\.(\d+)\.", name)
        held = int(number[1]) < 2 if number else "embed" in name
        assert values.requires_grad != (held or name.startswith("pooler")), name


def test_layers_that_share_their_weights_cannot_be_told_apart():
    with pytest.raises(OptionError, match="the layers of 'albert' share their weights; give 0 or 'all'"):
        freeze(untrained(*OTHERS[3]), 1, "albert")


def test_the_encoder_in_memory_stays_as_it_was(classifier, base, panel):
    encoder = el.SentenceEncoder(base, cache=False, dtype="float32")
    before = encoder.encode(["cook", "clerk"]).vectors
    fit = classifier().fit(panel, seed=0)
    assert np.array_equal(encoder.encode(["cook", "clerk"]).vectors, before)
    titles = encoder.encode(list(panel.choices.titles)).vectors
    assert np.allclose(fit.predictor.network.titles, titles / np.linalg.norm(titles, axis=1, keepdims=True), atol=1e-6)


def test_a_frozen_encoder_reads_every_text_once(classifier, panel, monkeypatch):
    calls = []
    hidden = EncoderNetwork.hidden
    monkeypatch.setattr(EncoderNetwork, "hidden", lambda self, *a: calls.append(len(a[0])) or hidden(self, *a))
    classifier(frozen="all").fit(panel, validation=panel, seed=0)
    assert sum(calls) == 2 * len(panel)


# What is read


def test_a_résumé_that_is_too_long_keeps_its_newest_records(classifier):
    df = careers(records=5)
    fit = classifier(max_tokens=24).fit(panel_of(df), seed=0)
    assert 0 < fit.info.truncated < 1
    newest = panel_of(df).to_frame().groupby("id").tail(1).index
    for year, equal in ((1980, True), (1983, False)):
        other = df.assign(job=df["job"].where(df["year"] != year, 4))
        changed = fit.predict_proba(panel_of(other)).loc[newest]
        assert np.allclose(changed, fit.predict_proba(panel_of(df)).loc[newest], atol=1e-6) == equal


def test_what_comes_later_is_never_read(classifier):
    df = careers()
    fit = classifier().fit(panel_of(df), seed=0)
    before = fit.predict_proba(panel_of(df))
    for year in (1980, 1981, 1982, 1983):
        other = panel_of(df.assign(job=df["job"].where(df["year"] < year, 4)))
        after = fit.predict_proba(other)
        known = (other.to_frame()["year"] <= year).to_numpy()
        assert np.allclose(after[known], before[known], atol=1e-6)
        assert year == 1983 or not np.allclose(after[~known], before[~known], atol=1e-6)


def test_rows_that_are_only_history_are_not_predicted(classifier):
    early, late = panel_of(careers()).split_time(1982)
    fit = classifier(template=el.ResumeTemplate(opening="", person="a", closing="")).fit(early, seed=0)
    assert fit.log_proba(late).shape == (10, 4)
    whole = fit.predict_proba(panel_of(careers()))
    assert np.allclose(fit.predict_proba(late), whole.loc[late.index], atol=1e-6)


def test_a_template_of_its_own_takes_the_place_of_the_panels(classifier, panel):
    own = el.ResumeTemplate(opening="career", person="", closing="", titles="code")
    fit = classifier(template=own).fit(panel, seed=0)
    worded = classifier().fit(panel_of(careers(), template=own), seed=0)
    assert same(weights_of(fit), weights_of(worded))
    assert torch.equal(fit.predictor.network.titles, worded.predictor.network.titles)
    assert not torch.equal(
        fit.predictor.network.titles, classifier(training=STILL).fit(panel, seed=0).predictor.network.titles
    )
    # Predictions are made of résumés worded as at estimation, whatever the panel says.
    assert np.array_equal(worded.log_proba(panel), worded.log_proba(panel_of(careers(), template=own)))
    assert fit.log_proba(panel).shape == (40, 4)


def test_a_data_frame_of_texts_and_labels(classifier, frame):
    frame.index = [f"row {k}" for k in range(len(frame))]
    long = el.Training(epochs=40, batch=6, learning_rate=3e-3)
    fit = classifier(formula=FORMULA, training=long).fit(frame, seed=0)
    assert fit.choices.codes == ("food", "other")
    assert fit.predict(frame).tolist() == frame["label"].tolist()
    assert fit.predict_proba(frame[["text"]]).index.equals(frame.index)
    assert (fit.info.persons, fit.info.first_records) == (None, None)
    assert fit.perplexity(frame).n == len(frame)
    vectors = fit.transform(frame)
    assert vectors.shape == (len(frame), 16)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert list(vectors.columns[:2]) == ["encoder_0", "encoder_1"]


def test_choices_of_a_data_frame_are_ordered_as_for_the_logit(classifier, frame):
    for labels in (frame["label"].map({"food": 10, "other": 9}), pd.Categorical(frame["label"], ["other", "food"])):
        df = frame.assign(label=labels)
        logit = el.MNLogit("label ~ 1", penalty=None).fit(df)
        assert classifier(formula=FORMULA).fit(df, seed=0).choices == logit.choices


@pytest.mark.parametrize("count", [0.5, 2.0])
def test_outcomes_never_seen_have_a_reserved_probability(classifier, panel, frame, count):
    fit = classifier(pseudo_count=count).fit(panel, seed=0)
    assert fit.info.unseen == (4,)
    assert np.allclose(fit.predict_proba(panel)[4], count / (40 + count))
    df = frame.assign(label=pd.Categorical(frame["label"], ["food", "x", "other", "y"]))
    fit = classifier(formula=FORMULA, pseudo_count=count).fit(df, seed=0)
    assert np.allclose(fit.predict_proba(df)[["x", "y"]], count / (12 + 2 * count))
    assert np.allclose(np.exp(fit.log_proba(df)).sum(axis=1), 1, atol=1e-12)
    assert "reserved" in str(fit)


# Weights, seeds, going on, saving


def test_rows_of_weight_zero_do_not_count(classifier, frame):
    weights = pd.Series(1.0, frame.index)
    weights[3] = 0.0
    other = frame.assign(label=frame["label"].where(weights > 0, "third"))
    fits = [classifier(formula=FORMULA).fit(df, weights=weights, seed=0) for df in (frame, other)]
    assert fits[1].info.unseen == ("third",)
    assert fits[1].info.weighted
    ours, theirs = (fit.predictor.network.trained() for fit in fits)
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-6) for name in ("turn", "scale"))
    assert torch.allclose(ours["free"], theirs["free"][:2], atol=1e-6)
    assert not theirs["free"][2].any()


def test_weights_count_like_copies_of_rows(classifier, frame):
    training = el.Training(epochs=150, batch=100, learning_rate=3e-3, weight_decay=0.0, clip=None)
    model = classifier(formula=FORMULA, frozen="all", head="free", training=training)
    frame["label"] = np.where(np.arange(len(frame)) % 2, "a", "b")
    weights = pd.Series(np.where(frame["label"] == "a", 3.0, 1.0), frame.index)
    copies = pd.concat([frame, *[frame[frame["label"] == "a"]] * 2], ignore_index=True)
    weighted = model.fit(frame.assign(text="cook"), weights=weights, seed=0).predict_proba(frame.assign(text="cook"))
    copied = model.fit(copies.assign(text="cook"), seed=0).predict_proba(frame.assign(text="cook"))
    assert np.allclose(weighted, copied, atol=1e-3)
    assert np.allclose(weighted["a"], 0.75, atol=1e-3)


def test_survey_weights_are_those_of_the_panel(classifier):
    df = careers().assign(w=lambda d: 1.0 + d["id"] % 2)
    panel = panel_of(df, weights="w")
    own = classifier(weighted=True).fit(panel, validation=panel, seed=0)
    given = classifier().fit(panel, weights=df.drop_duplicates("id").set_index("id")["w"], seed=0)
    assert own.history.frame["validation"].iloc[-1] == pytest.approx(
        np.average(own.log_likelihood(panel), weights=panel.sampling_weights)
    )
    assert torch.equal(
        classifier(weighted=True).fit(panel, seed=0).predictor.network.bias, given.predictor.network.bias
    )
    with pytest.raises(OptionError, match="weighted=True needs survey weights"):
        classifier(weighted=True).fit(panel_of(careers()), seed=0)


def test_the_seed_decides_and_nothing_else(classifier, panel):
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one = classifier().fit(panel, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(6)
    assert same(weights_of(one), weights_of(classifier().fit(panel, seed=1)))
    assert not same(weights_of(one), weights_of(classifier().fit(panel, seed=2)))


def test_the_best_epoch_by_validation_is_kept(classifier, panel):
    held = panel_of(careers(seed=7, offset=100))
    training = el.Training(epochs=5, batch=8, learning_rate=0.01)
    fit = classifier(training=training).fit(panel, validation=held, seed=0)
    assert fit.log_likelihood(held).mean() == pytest.approx(fit.history.frame["validation"].max(), abs=1e-6)


@pytest.mark.parametrize("frozen", [0, 1, "all"])
def test_an_interrupted_run_goes_on_bit_for_bit(classifier, panel, tmp_path, monkeypatch, frozen):
    model, held = classifier(frozen=frozen), panel_of(careers(seed=3, offset=100))
    whole = model.fit(panel, validation=held, seed=0)
    monkeypatch.setattr(engine, "SECONDS_BETWEEN_SAVES", 0.0)
    logits, calls = EncoderNetwork.logits, []

    def interrupted(self, hidden):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return logits(self, hidden)

    with monkeypatch.context() as patch:
        patch.setattr(EncoderNetwork, "logits", interrupted)
        with pytest.raises(KeyboardInterrupt):
            model.fit(panel, validation=held, seed=0, checkpoint=tmp_path / "run")
    again = model.fit(panel, validation=held, seed=0, checkpoint=tmp_path / "run")
    assert same(weights_of(again), weights_of(whole))
    assert again.history.frame.drop(columns="seconds").equals(whole.history.frame.drop(columns="seconds"))
    with pytest.raises(OptionError, match="another training"):
        model.fit(held, validation=panel, seed=0, checkpoint=tmp_path / "run")


@pytest.mark.parametrize(
    "options",
    [{}, {"frozen": 1, "head": "titles"}, {"frozen": "all", "head": "free", "template": el.ResumeTemplate(person="")}],
    ids=str,
)
def test_a_loaded_result_gives_the_same_numbers(classifier, panel, tmp_path, options):
    fit = classifier(max_tokens=40, **options).fit(panel, validation=panel, seed=0)
    fit.save(tmp_path / "fit")
    loaded = el.load(tmp_path / "fit")
    assert np.array_equal(loaded.log_proba(panel), fit.log_proba(panel))
    assert loaded.transform(panel).equals(fit.transform(panel))
    assert (loaded.model, loaded.choices, loaded.info) == (fit.model, fit.choices, fit.info)
    assert loaded.history.frame.equals(fit.history.frame)
    assert str(loaded) == str(fit)
    # Of frozen parts nothing is written.
    names = set(json.loads((tmp_path / "fit" / "results.json").read_text())["state"]["weights"])
    assert any("embeddings" in name for name in names) == (fit.model.frozen == 0)
    numbers = fit.info.parameters + fit.predictor.network.titles.numel()
    assert (tmp_path / "fit" / "arrays.safetensors").stat().st_size < 4 * numbers + 20_000


def test_a_result_of_another_base_model_is_refused(panel, base, tmp_path):
    folder = tmp_path / "base"
    shutil.copytree(base, folder)
    EncoderClassifier(str(folder), training=QUICK).fit(panel, seed=0).save(tmp_path / "fit")
    make_encoder(folder, seed=1)
    with pytest.raises(ModelNotFoundError, match="are not those that were fine-tuned"):
        el.load(tmp_path / "fit")


def test_results_can_be_copied(classifier, panel):
    fit = classifier().fit(panel, seed=0)
    assert np.array_equal(copy.deepcopy(fit).log_proba(panel), fit.log_proba(panel))


# Number types and other encoders


def test_bfloat16_is_for_training_only(classifier, panel):
    half = classifier(dtype="bfloat16").fit(panel, seed=0)
    single = classifier().fit(panel, seed=0)
    assert {values.dtype for values in weights_of(half).values()} == {torch.float32}
    assert not same(weights_of(half), weights_of(single))
    assert np.allclose(half.log_proba(panel), single.log_proba(panel), atol=0.2)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_pooling_and_prompt_are_the_published_ones(panel, tmp_path, pooling):
    published = {"pooling_mode_cls_token": pooling == "cls", "pooling_mode_mean_tokens": pooling == "mean"}
    folder = publish(make_encoder(tmp_path / "model"), published, "Normalize")
    prompts = {"prompts": {"career": "Person: "}, "default_prompt_name": "career"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    encoder = el.SentenceEncoder(str(folder), cache=False, dtype="float32")
    fit = EncoderClassifier(str(folder), training=STILL, dtype="float32").fit(panel, seed=0)
    assert np.allclose(fit.transform(panel), encoder.encode(panel.resumes()).vectors, atol=1e-5)


def test_it_enters_a_comparison(classifier, panel):
    fits = {"Encoder": classifier().fit(panel, seed=0), "Empirical": el.Empirical().fit(panel)}
    frame = el.compare(fits, panel_of(careers(seed=9, offset=100)), reference="Empirical").frame
    assert np.isfinite(frame["difference_std_error"]["Encoder"])
    assert frame["parameters"]["Encoder"] == fits["Encoder"].info.parameters


# Errors


@pytest.mark.parametrize("formula", ["y ~ a + b", "y ~ a:b", "y ~ 1", "y ~ lag(a)", "y"])
def test_a_formula_has_one_column_of_texts(formula):
    with pytest.raises(FormulaError, match=r"formula 'y"):
        EncoderClassifier(formula=formula)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": ""}, "model='' is not allowed"),
        ({"frozen": "al"}, "Did you mean 'all'"),
        ({"frozen": -1}, "frozen=-1 is not allowed: give a whole number of at least 0"),
        ({"frozen": True}, "frozen=True is not allowed"),
        ({"max_tokens": 1}, "max_tokens=1 is not allowed"),
        ({"head": "title"}, "Did you mean 'titles'"),
        ({"dtype": "float16"}, "dtype='float16' is not an option"),
        ({"training": 3}, "training=3 is not allowed"),
        ({"template": "{title}"}, "template='{title}' is not allowed"),
        ({"formula": FORMULA, "template": SHORT}, "give one"),
        ({"pseudo_count": 0}, "pseudo_count=0 is not allowed"),
        ({"device": 1}, "not a device"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(OptionError, match=message):
        EncoderClassifier(**options)


def test_data_are_checked(classifier, panel, frame):
    with pytest.raises(DataError, match="give a CareerPanel, or formula="):
        classifier().fit(frame)
    with pytest.raises(DataError, match="a CareerPanel needs no formula"):
        classifier(formula=FORMULA).fit(panel)
    with pytest.raises(DataError, match="Did you mean 'text'"):
        classifier(formula="label ~ texts").fit(frame)
    with pytest.raises(DataError, match="text column 'text': 2 of 12 rows have no text, the first in rows 0, 1"):
        classifier(formula=FORMULA).fit(frame.assign(text=frame["text"].where(frame.index > 1)))
    with pytest.raises(DataError, match="outcome 'label' is missing in 12 of 24 rows"):
        classifier(formula=FORMULA).fit(pd.concat([frame, frame[["text"]]], ignore_index=True))
    with pytest.raises(DataError, match="only one outcome occurs in the 12 rows"):
        classifier(formula=FORMULA).fit(frame.assign(label="food"))
    with pytest.raises(DataError, match="the data to estimate on have no rows"):
        classifier(formula=FORMULA).fit(frame[:0])
    with pytest.raises(DataError, match="the validation sample has no rows"):
        classifier(formula=FORMULA).fit(frame, validation=frame[:0])
    with pytest.raises(DataError, match="values that are not in the choice set"):
        classifier(formula=FORMULA).fit(frame, validation=frame.assign(label="else"))
    fit = classifier(formula=FORMULA).fit(frame, seed=0)
    with pytest.raises(DataError, match="the data to predict have no rows"):
        fit.log_proba(frame[:0])


def test_the_encoder_is_checked(classifier, panel, tmp_path):
    with pytest.raises(OptionError, match=r"frozen=2, but .* has 2 layers: give at most 1, or 'all'"):
        classifier(frozen=2).fit(panel)
    with pytest.raises(OptionError, match="max_tokens=65 is more than the 64 tokens"):
        classifier(max_tokens=65).fit(panel)
    with pytest.raises(ModelNotFoundError, match="this folder does not exist"):
        EncoderClassifier(str(tmp_path / "nothing")).fit(panel)
    with pytest.raises(OptionError, match="needs a fixed seed"):
        classifier().fit(panel, checkpoint=tmp_path / "run")
    folder = make_encoder(tmp_path / "causal")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["BertForCausalLM"]}))
    with pytest.raises(OptionError, match=r"a causal language model: el\.EncoderClassifier needs a sentence encoder"):
        EncoderClassifier(str(folder)).fit(panel)


@pytest.mark.slow
def test_minilm_on_real_careers(wage_panel):
    part, test, _ = wage_panel.split([0.1, 0.1, 0.8], seed=0)
    training = el.Training(epochs=1, batch=32, learning_rate=1e-4)
    fit = EncoderClassifier(max_tokens=96, training=training).fit(part, seed=0)
    row = el.compare({"encoder": fit, "MNL": el.MNLogit("occupation ~ 1", penalty="l2").fit(part)}, test).frame
    # 28 updates on 54 persons: 6.3 against 7.2 for shares alone.
    assert row["perplexity"]["encoder"] < 0.95 * row["perplexity"]["MNL"]
