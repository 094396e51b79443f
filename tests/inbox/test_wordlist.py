"""The word list: what clinicians change lies over the shipped lexicon, is tried, published, and never breaks triage."""

import time

import pytest

from engage.accounts.models import Role
from engage.audit.models import AuditEvent
from engage.inbox import arrival, editing, phrases, trial, wordlist
from engage.inbox.models import InboxError, Level, WordList
from engage.inbox.triage import lexicon
from tests.inbox.base import InboxTestCase

TICKER = "my ticker is going kaput"
WHY = "Two patients wrote it this way last week."


def adding(phrase=TICKER, example=TICKER):
    return {"add": [phrases.pattern(phrase, wordlist.shipped()["words"])], "examples": {"add": [example]}}


def own(level="urgent", phrase="blue lips", **more):
    about = {"label": "emergency", "level": level, "says": "blue lips", "lang": ""}
    return {"as": about, "add": [phrase], "examples": {"add": [phrase]}} | more


class WordListTestCase(InboxTestCase):
    def propose(self, pk="chest-pain", change=None, by=None):
        row = editing.draft()
        seen = editing.digest(row.changes if row else editing.live_changes(), pk)
        return editing.save_entry(pk, adding() if change is None else change, seen=seen, by=by or self.nurse)

    def publish(self, row=None, by=None, typed="", reason=WHY):
        row = editing.try_out(row or editing.draft())
        return editing.publish(row, reason, typed=typed, by=by or self.oncall)


class Changes(WordListTestCase):
    def test_a_published_phrase_reads_the_next_reply_and_its_version_is_kept(self):
        before = self.hear(TICKER).reading
        assert before.level != Level.URGENT and "+" not in before.version
        self.propose()
        assert self.hear(TICKER).reading.level != Level.URGENT  # a draft reads nothing
        self.publish()
        after = self.hear(TICKER).reading
        assert after.level == Level.URGENT
        assert f"/{wordlist.shipped()['version']}+1/" in after.version

    def test_each_reply_asks_for_the_live_version_so_another_process_need_not_be_told(self):
        self.propose()
        row = self.publish()
        assert wordlist.live().version.endswith("+1")
        WordList.objects.filter(pk=row.pk).update(state="past")  # as another process would
        assert wordlist.live() is lexicon.load()

    def test_an_entry_of_the_clinics_own_and_one_that_is_switched_off(self):
        self.propose("clinic-blue-lips", own())
        self.propose("seizure", {"off": True})
        self.publish(by=self.supervisor, typed=editing.MEANT)
        assert self.hear("blue lips").reading.level == Level.URGENT
        known = {e.id for e in wordlist.live().entries}
        assert "clinic-blue-lips" in known and "seizure" not in known

    def test_a_figure_of_speech_silences_what_it_touches(self):
        self.propose("clinic-kaput", own(phrase="kaput"))
        self.propose(wordlist.FIGURES, {"add": ["washing _2 kaput"]})
        self.publish(by=self.supervisor, typed=editing.MEANT)
        assert self.hear("kaput").reading.level == Level.URGENT
        assert self.hear("my washing machine is kaput").reading.level != Level.URGENT

    def test_a_later_shipped_lexicon_keeps_the_changes(self):
        newer = {**wordlist.shipped(), "version": "2030.1"}
        newer["entries"] = [e for e in newer["entries"] if e["id"] != "seizure"]
        about = {"label": "emergency", "level": "urgent", "says": "a seizure", "lang": ""}
        changes = {"entries": {"chest-pain": adding(), "seizure": own(**{"as": about})}}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(wordlist, "shipped", lambda: newer)
            known = wordlist.compiled(changes, "+4")
        assert known.version == "2030.1+4"
        assert wordlist.finds(known, "chest-pain", TICKER) == ""
        assert wordlist.finds(known, "seizure", "blue lips") == ""  # ours outlives theirs


class Publishing(WordListTestCase):
    def test_an_example_that_is_not_found_is_refused_in_words_and_nothing_is_kept(self):
        with pytest.raises(InboxError, match="not found by any phrase"):
            self.propose(change=adding(example="something else"))
        assert editing.draft() is None or not editing.draft().changes

    def test_a_counter_example_that_is_found_is_refused(self):
        change = adding() | {"counter_examples": {"add": ["oh my ticker is going kaput"]}}
        with pytest.raises(InboxError, match="must not raise"):
            self.propose(change=change)

    def test_a_colleagues_change_is_not_overwritten_unseen(self):
        self.propose()
        with pytest.raises(InboxError, match="colleague"):
            editing.save_entry("chest-pain", {}, seen=editing.digest({}, "chest-pain"), by=self.oncall)

    def test_only_what_was_tried_goes_live(self):
        row = self.propose()
        with pytest.raises(InboxError, match="Try the draft first"):
            editing.publish(row, WHY, by=self.oncall)
        editing.try_out(row)
        self.propose("breathing", adding("my air tank is out", "my air tank is out"))
        with pytest.raises(InboxError, match="Try the draft first"):
            editing.publish(editing.draft(), WHY, by=self.oncall)

    def test_who_may_and_with_what_reason(self):
        row = editing.try_out(self.propose())
        for user in (self.nurse, self.coordinator, self.auditor):
            with pytest.raises(InboxError, match="clinician on call or a supervisor"):
                editing.publish(row, WHY, by=user)
        with pytest.raises(InboxError, match="why"):
            editing.publish(row, "because", by=self.oncall)
        editing.publish(row, WHY, by=self.oncall)
        event = AuditEvent.objects.get(action="wordlist.publish")
        assert event.detail == {"number": 1, "fewer_urgent": False, "changed": ["chest-pain"]}
        assert event.actor == "oncall"

    def test_fewer_urgent_needs_a_supervisor_who_types_it(self):
        row = editing.try_out(self.propose("seizure", {"off": True}))
        assert editing.narrower(row.changes) == ["“a seizure” is switched off."]
        with pytest.raises(InboxError, match="supervisor must publish"):
            editing.publish(row, WHY, typed=editing.MEANT, by=self.oncall)
        with pytest.raises(InboxError, match="Type"):
            editing.publish(row, WHY, by=self.supervisor)
        assert editing.publish(row, WHY, typed=" Fewer  Urgent ", by=self.supervisor).narrower

    def test_a_dropped_phrase_and_a_new_figure_count_as_fewer(self):
        drop = {"entries": {"heart-attack": {"drop": wordlist.shipped()["entries"][1]["patterns"][:1]}}}
        assert "loses 1 phrase" in wordlist.narrowed({}, drop)[0]
        assert "figure of speech" in wordlist.narrowed({}, {"figures": {"add": ["very sick jokes"]}})[0]
        assert wordlist.narrowed({}, {"entries": {"chest-pain": adding()}}) == []
        assert wordlist.narrowed({"entries": {"clinic-x": own()}}, {})  # taking back one's own, too

    def test_rolled_back_at_once_to_the_shipped_list_and_forth(self):
        self.propose()
        first = self.publish()
        editing.roll_back(None, "It pages us for clocks.", typed=editing.MEANT, by=self.supervisor)
        assert self.hear(TICKER).reading.level != Level.URGENT
        assert editing.live().number == 2
        editing.roll_back(first, "It was right after all.", by=self.oncall)
        assert self.hear(TICKER).reading.level == Level.URGENT
        assert list(WordList.objects.order_by("number").values_list("number", "state")) == [
            (1, "past"), (2, "past"), (3, "live"),
        ]  # fmt: skip

    def test_dropped_drafts_read_nothing_and_the_next_begins_with_what_is_live(self):
        self.propose()
        editing.drop(editing.draft(), by=self.nurse)
        assert editing.draft() is None
        self.propose("breathing", adding("my air tank is out", "my air tank is out"))
        assert list(editing.draft().changes["entries"]) == ["breathing"]


class Broken(WordListTestCase):
    def broken(self, changes):
        self.propose()
        row = self.publish()
        WordList.objects.filter(pk=row.pk).update(changes=changes, digest=wordlist.digest_of(changes))

    def test_whatever_the_changes_are_replies_are_read_with_the_shipped_list_and_it_is_said(self):
        broken = (
            {"entries": {"chest-pain": {"add": ["@nothing"]}}},
            {"entries": {"chest-pain": {"add": [""]}}},
            {"entries": {"chest-pain": {"add": [7]}}},
            {"entries": []},
            {"entries": {"clinic-x": {"add": ["hello there"]}}},
            ["no", "list"],
        )
        self.propose()
        row = self.publish()
        for number, changes in enumerate(broken):
            with self.subTest(changes=changes):
                WordList.objects.filter(pk=row.pk).update(changes=changes, digest=wordlist.digest_of(changes))
                with self.assertLogs("engage.inbox.wordlist", "ERROR"):
                    reading = self.hear(f"I have chest pain {'!' * number}").reading
                assert reading.level == Level.URGENT and reading.complete
                assert "+" not in reading.version
                assert wordlist.trouble() == wordlist.BROKEN

    def test_changes_that_are_not_the_ones_published_are_not_used(self):
        self.propose()
        row = self.publish()
        WordList.objects.filter(pk=row.pk).update(digest="0" * 64)
        with self.assertLogs("engage.inbox.wordlist", "ERROR"):
            assert wordlist.live() is lexicon.load()

    def test_a_list_that_fails_while_reading_gives_way_to_the_shipped_one(self):
        self.propose()
        self.publish()
        known = wordlist.live()
        with pytest.MonkeyPatch.context() as patch, self.assertLogs("engage.inbox.arrival", "ERROR"):
            patch.setattr(known, "scan", lambda *_: 1 / 0)
            reading = self.hear("I have chest pain").reading
        assert reading.level == Level.URGENT and reading.complete


class Trials(WordListTestCase):
    def test_what_patients_wrote_last_month_is_read_again(self):
        hit, miss = self.hear(TICKER), self.hear("What time do you open?")
        found = editing.try_out(self.propose()).trial
        assert [row[0] for row in found["rows"]] == [hit.pk] and miss.pk not in str(found["rows"]).split()
        assert found["levels"] == [[int(hit.reading.level), 0, 1]] and found["replies"] == 2
        assert TICKER not in str(found)  # ids and places, never words
        label, start, end = found["rows"][0][3][0]
        assert (label, hit.body[start:end]) == ("emergency", TICKER)

    def test_what_would_no_longer_be_urgent_is_found_too(self):
        message = self.hear("I had a seizure this morning")
        found = editing.try_out(self.propose("seizure", {"off": True})).trial
        assert found["rows"][0][:2] == [message.pk, 0]
        assert editing.draft().trial["rows"] == found["rows"]

    def test_the_golden_cases_tell_of_grave_sentences_lost(self):
        assert len(trial.golden_cases()) > 300
        self.propose("clinic-kaput", own(phrase="kaput"))
        self.publish()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                trial, "golden_cases", lambda: (trial.Golden("kaput", True), trial.Golden("hi", False))
            )
            row = editing.try_out(self.propose("clinic-kaput", {}))
            assert row.trial["golden"] == [0]
            assert "“kaput” would not be urgent any more." in editing.narrower(row.changes, row.trial)

    def told(self, message, known):
        """What a trial compares of a reading: its level, and which labels stand where."""
        found = arrival.triage_of(message, None, known)
        return found.level, sorted((f.label, f.start, f.end) for f in found.findings)

    def test_the_short_way_finds_what_reading_everything_twice_finds(self):
        texts = [
            TICKER,
            "chest pain",
            "no chest pain",
            "my arm is numb and my chest is tight",
            "hello",
            "kaput",
        ]
        messages = [self.hear(text) for text in texts]
        changes = {
            "entries": {"chest-pain": adding() | {"drop": wordlist.shipped()["entries"][0]["patterns"][:2]}}
        }
        pair = trial.Pair({}, changes)
        found = {m.pk for m in messages if pair.differs(m)}
        slow = {m.pk for m in messages if self.told(m, pair.old) != self.told(m, pair.new)}
        assert found == slow and found


class Phrases(InboxTestCase):
    def test_written_and_read_in_one_form(self):
        sets = wordlist.shipped()["words"]
        for phrase, pattern in {
            "My ticker HURTS": "my ticker hurts",
            "can't breathe": "cant breathe",
            "(hurts / is killing me / sud*) ..2.. [pain]": "hurts|is+killing+me|sud* _2 @pain",
            "[chest] ~6~ [pain]": "@chest ~6 @pain",
            "^ ouch $": "^ ouch $",
            "dolor en el corazón": "dolor en el corazon",
        }.items():
            assert phrases.pattern(phrase, sets) == pattern
            assert phrases.pattern(phrases.plain(pattern), sets) == pattern

    def test_what_is_wrong_is_said_in_a_sentence(self):
        sets = wordlist.shipped()["words"]
        for phrase, says in {
            "": "no words", "the": "many ordinary replies", "no me": "ordinary", "a*": "too many words",
            "[nothing]": "no group", "(a / b": "without its partner", "..3.. pain": "begins or ends", "um": "left out",
            "pain ~30~ arm": "1 to 20", "pain ..2.. ..2.. arm": "side by side", "pain ^ arm": "only at the beginning",
            "(a bcde* / c)": "single word", "😀": "no word", "( / )": "empty brackets", "x" * 500: "longer than",
            " ".join(["pain"] * 30): "more than 14", " ~2~ ".join(["pain"] * 6): "more than 3",
        }.items():  # fmt: skip
            with pytest.raises(phrases.PhraseError, match=says):
                phrases.pattern(phrase, sets)

    def test_the_widest_phrases_stay_linear(self):
        pattern = phrases.pattern("(w1 / w5) ~20~ (w2 / w6) ~20~ (w3 / w7) ~20~ (w4 / w8)", {})
        known = wordlist.compiled({"entries": {"clinic-w": own(phrase=pattern, examples={"add": []})}}, "")
        text = "w1 w2 w3 w4 " * 800
        short, long = (min(self.timed(known, text[:n]) for _ in range(5)) for n in (2_400, 9_600))
        assert long < 12 * short + 0.01

    def timed(self, known, text):
        begin = time.process_time()
        known.scan(trial.words(text))
        return time.process_time() - begin


def test_the_roles_that_may_publish_may_also_propose():
    assert set(editing.PUBLISHERS) < set(editing.PROPOSERS) and Role.COORDINATOR not in editing.PROPOSERS
