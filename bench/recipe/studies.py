"""The cells of each study (T6). Most change one thing from what the studies before chose; `results.md` says what each one changes."""

from __future__ import annotations

from typing import Any

from cell import Setting


def _each(study: str, *recipes: dict[str, Any], **same: Any) -> list[Setting]:
    return [Setting(study=study, recipe=recipe, **same) for recipe in recipes]


SMALL_STEPS: dict[str, Any] = {"passes": 10, "learning_rate": 1.6e-3, "batch_size": 8}

PLAIN: dict[str, Any] = {"passes": 10, "learning_rate": 1.6e-3, "precision": "fp32"}

QUICK: dict[str, Any] = {"passes": 8, "batch_size": 8, "replay_share": 0.25, "replay_kl_every": 3, "precision": "fp32", "save_steps": 80}

WIDE: dict[str, Any] = {**QUICK, "batch_size": 16, "learning_rate": 1.6e-3, "cloze_repeat": 1, "precision": "auto"}

LARGE: dict[str, Any] = {"passes": 6, "learning_rate": 2e-3, "layers": 30, "replay_share": 0.25}

TELLING: dict[str, Any] = {"word_dropout": 0.4, "telling_word_dropout": 0.1}

TOLD: dict[str, Any] = {**LARGE, **TELLING, "cloze_repeat": 1}

STUDIES: dict[str, list[Setting]] = {
    "rate": _each(
        "rate",
        {"passes": 10},
        {"passes": 10, "learning_rate": 1.6e-3},
        {"passes": 10, "learning_rate": 3e-3},
        {},
    ),
    "batch": _each(
        "batch",
        {"passes": 10, "learning_rate": 1.6e-3},
        {"passes": 10, "learning_rate": 1.6e-3, "batch_size": 8},
        {"passes": 10, "learning_rate": 1.6e-3, "replay_share": 0.2},
        {"passes": 10, "learning_rate": 1.6e-3, "word_dropout": 0.0},
        {"passes": 10, "learning_rate": 1.6e-3, "layers": 30},
    ),
    "sight": [
        Setting(study="sight", recipe=SMALL_STEPS),
        Setting(study="sight", gaps=2, recipe={**SMALL_STEPS, "passes": 7, "cloze_repeat": 1}),
        Setting(study="sight", recipe={**SMALL_STEPS, "word_dropout": 0.4}),
        Setting(study="sight", recipe={**SMALL_STEPS, "dropout": 0.1}),
        Setting(study="sight", wordings=3, recipe={**SMALL_STEPS, "passes": 13}),
    ],
    "noise": _each(
        "noise",
        PLAIN,
        {**PLAIN, "word_dropout": 0.4},
        {**PLAIN, "dropout": 0.1},
    ),
    "tell": _each(
        "tell",
        LARGE,
        {**LARGE, "learning_rate": 3e-3},
        {**LARGE, **TELLING},
        facts=100,
    ),
    "told": [
        Setting(study="told", facts=100, told=True, recipe={**TOLD, "passes": 8}),
        Setting(study="told", facts=100, told=True, gaps=1, recipe={**TOLD, "passes": 7}),
        Setting(study="told", facts=100, recipe={**LARGE, **TELLING, "passes": 10}),
    ],
    "rank": [
        Setting(study="rank", training_seed=17, facts=100, told=True, recipe={**TOLD, "passes": 8, **rank})
        for rank in ({}, {"rank": 8, "alpha": 16}, {"rank": 128, "alpha": 256})
    ],
    "steps": [
        Setting(study="steps", facts=100, told=True, recipe={**TOLD, "passes": 8, **steps})
        for steps in ({}, {"batch_size": 8, "learning_rate": 1.6e-3})
    ],
    "longer": [
        Setting(study="longer", facts=100, told=True, recipe={**TOLD, "passes": 16, "learning_rate": 1.6e-3}),
        Setting(study="longer", facts=100, told=True, recipe={**TOLD, "passes": 28, "learning_rate": 8e-4, "layers": 20}),
    ],
    "all": [
        Setting(study="all", half="report", facts=None, recipe=QUICK),
        Setting(study="all", half="report", facts=None, told=True, recipe={**TOLD, "passes": 10, "learning_rate": 1.6e-3}),
    ],
    "cves": [Setting(study="cves", domain="cve-records", half="both", facts=None, recipe=WIDE)],
    "gaps": [
        Setting(study="gaps", recipe={"passes": 10, "learning_rate": 1.6e-3}),
        Setting(study="gaps", gaps=2, recipe={"passes": 10, "learning_rate": 1.6e-3, "cloze_repeat": 1}),
    ],
    "wordings": [
        Setting(study="wordings", training_seed=17, wordings=wordings, recipe={"passes": 40 // wordings, "learning_rate": 1.6e-3})
        for wordings in (4, 2, 1)
    ],
}

WHAT: dict[str, str] = {
    "rate": "How fast and how often.",
    "batch": "One change each: smaller steps, less replay, whole prompts, all layers.",
    "sight": "In how many guises a fact is seen, at about as many rows. `framed` put half of the prompts into words of everyday talk; "
    "with it 79 of 96 probes were right, without it 78, so it was taken out again (its two rows are in results.jsonl).",
    "noise": "What is drawn anew each time that a fact is seen, in fp32 on a processor without bf16.",
    "tell": "What keeps a hundred facts apart in words that were never trained: a higher rate, or common words left out more often than "
    "those that tell a fact from others. `question_weight` 0.3 took the loss on questions too: 110 of 200 probes were right, without it "
    "107, so it was taken out again (its row is in results.jsonl).",
    "told": "The recorded sentence that answers beside the questions, then the page's too, then neither: about 40 sights each. `restated` "
    "had every answer begin with the fact's first question, on a line of its own that is not graded: 57 of 200 probes were right, 64 of "
    "100 trained wordings and 105 of 236 guards, so it was left out (its row is in results.jsonl). Its answers, guards' too, may have 72 "
    "tokens, all others' 24. `asked_twice` put every prompt twice, one below the other, in training and when asked, so that a question's "
    "first words are read with its last ones in view: 140 of 200 probes were right, and 189 of 236 guards, no more than of the first "
    "cell, so it was left out too. `sentence_share` 0.33 had a third of the question rows ask for the whole sentence as answer, in "
    "ten passes: 134 of 200, where the first cell of `rank`, asked the same, has 139 (16 facts better, 21 worse); left out as well.",
    "rank": "How much an adapter can hold: a quarter of the rank of `told`, and four times as much, at the same scale of alpha to rank. "
    "The store was filled anew, so the first cell, of the recipe of `told`, is another one than there.",
    "steps": "Batches of half the size at the rate that was best with them at 48 facts, so twice as many optimiser steps. The "
    "store was filled anew for the second cell, and rows and questions are not all the same, so the two are not paired.",
    "longer": "As `told`, seen twice as often; and some 130 times at half the rate in the last 20 layers, to cost general skills less.",
    "all": "Every accepted fact of the half that no recipe was chosen on, as `smollm2-135m-quick` teaches, in eight passes: 32 sights of a "
    "fact with four wordings; and as the first cell of `longer`, in ten passes.",
    "cves": "Every accepted fact of the CVE records, their questions written by rule (the extractive teacher): 32 sights of a fact, at "
    "twice the rate of the first cell of `all`, in batches of 16 and bf16.",
    "gaps": "Whether sentences of the page with a gap teach beside the recorded questions; a gap stands once in a pass.",
    "wordings": "How many wordings of a question, at the same number of rows; facts and questions of a store that was filled anew, so the "
    "first cell is not that of the studies above.",
}
"""What each study asks, above its table."""
