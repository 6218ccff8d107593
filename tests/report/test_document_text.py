"""The document of a study that goes on is at each moment the one that would be made at once."""

from __future__ import annotations

import json

from carried import moments_of
from example_study import SPACE, example_study

from autosched.report.document import DRAWN, FEWEST, MOST, most_drawn, whole_document
from autosched.report.document_text import DocumentText, written
from autosched.report.moments import Story
from autosched.report.summary import summarise

PARTS = (0, 2, 90, 91, 200, 300)


def test_a_text_that_goes_on_says_what_is_said_at_once() -> None:
    events = example_study().events
    story = Story("wsd-demo")
    text = DocumentText(story)
    for start, stop in zip(PARTS, (*PARTS[1:], len(events)), strict=True):
        story.read(events[start:stop])
        summary = summarise(story.state, SPACE)
        at_once = json.loads(json.dumps(whole_document(story, SPACE, summary)))
        whole = json.loads(text.since(0, SPACE, summary))
        assert moments_of(whole) == moments_of(at_once)
        assert {**whole, "moments": []} == {**at_once, "moments": []}
        news = json.loads(text.since(start, SPACE, summary))
        new = moments_of(news)
        assert new == [moment for moment in moments_of(whole) if moment["event"] >= start]
        told_of = {moment["trial"] for moment in new if "trial" in moment}
        assert news["trials"] == [trial for trial in whole["trials"] if trial["trial"] in told_of]


def test_of_more_trials_fewer_points_are_drawn_each_and_no_more_in_all() -> None:
    drawn = [most_drawn(trials) for trials in range(1, 10_000)]
    assert drawn == sorted(drawn, reverse=True)
    assert (drawn[0], drawn[-1], len(set(drawn))) == (MOST, FEWEST, 6)
    assert all(most * trials <= DRAWN for trials, most in enumerate(drawn, start=1) if most > FEWEST)


def test_any_text_and_number_is_written_so_that_a_browser_reads_it() -> None:
    found = {"trainer": "half a letter \ud83d", "name": "größer 😀", "loss": 1e-07, "steps": [1, 2]}
    for document in (found, {**found, "trainer": "whole"}):
        assert json.loads(written(document).encode()) == document
