"""Webhooks wait in line where the database has one writer, and those who wait are committed together."""

from threading import Thread
from time import sleep

import pytest
from django.db import DatabaseError, connection, transaction
from django.http import HttpResponse

from engage.messaging.models import Heartbeat
from engage.webhooks import line
from engage.webhooks.line import Line, Turn, in_line, take_all
from tests.base import CastTransactionTestCase


def test_one_after_the_other_on_sqlite_and_at_once_on_postgresql():
    order = []

    def act(name, first=lambda: None):
        first()
        order.append(name)
        return HttpResponse()

    thread = Thread(target=lambda: in_line(lambda: act("second")))

    def hold():
        thread.start()
        thread.join(0.3)

    in_line(lambda: act("first", hold))
    thread.join()
    assert order == (["first", "second"] if connection.vendor == "sqlite" else ["second", "first"])


def test_who_is_first_takes_along_those_who_wait_and_everybody_has_an_answer_of_their_own(monkeypatch):
    waits, taken, answers = Line(), [], {}

    def take(turns):
        taken.append(len(turns))
        for turn in turns:
            turn.take()

    monkeypatch.setattr(line, "take_all", take)

    def stand(name, act):
        turn = Turn(act)
        waits.stand(turn)
        answers[name] = turn.error or turn.answer.content

    def fails():
        raise DatabaseError("no")

    acts = {"a": lambda: HttpResponse("a"), "b": fails, "c": lambda: HttpResponse("c")}
    threads = [Thread(target=stand, args=pair) for pair in acts.items()]

    def hold():
        for thread in threads:
            thread.start()
        while len(waits.waiting) < 3:
            sleep(0.01)
        return HttpResponse("first")

    stand("first", hold)
    for thread in threads:
        thread.join(10)
    stand("last", lambda: HttpResponse("last"))
    assert taken == [1, 3, 1]
    assert isinstance(answers.pop("b"), DatabaseError)
    assert answers == {"first": b"first", "a": b"a", "c": b"c", "last": b"last"}


@pytest.mark.parametrize("error", [DatabaseError("full"), SystemExit()])
def test_what_may_not_be_committed_is_not_answered_as_kept(monkeypatch, error):
    def taken_and_lost(turns):
        for turn in turns:
            turn.take()
        raise error

    monkeypatch.setattr(line, "take_all", taken_and_lost)
    turn, waits = Turn(HttpResponse), Line()
    waits.stand(turn)
    with pytest.raises(type(error)):
        turn.result()
    assert not waits.led


class Together(CastTransactionTestCase):
    def turn(self, name, then=lambda: None):
        def act():
            with transaction.atomic():
                Heartbeat.objects.create(name=name, at="2026-03-04T17:00:00Z")
                self.groups.append((name, len(connection.savepoint_ids)))
                then()
            return HttpResponse(name)

        return Turn(act)

    def setUp(self):
        super().setUp()
        self.groups = []

    def kept(self):
        return sorted(Heartbeat.objects.values_list("name", flat=True))

    def test_all_in_one_transaction_each_kept_by_itself(self):
        def fail():
            raise DatabaseError("no")

        turns = [self.turn("a"), self.turn("b", fail), self.turn("c")]
        take_all(turns)
        assert self.kept() == ["a", "c"]
        assert [t.answer is not None for t in turns] == [True, False, True]
        assert {deep for _, deep in self.groups} == {1}, "they had transactions of their own"
        with pytest.raises(DatabaseError):
            turns[1].result()

    def test_one_that_spoils_the_transaction_loses_no_other(self):
        def spoil():
            if len(self.groups) == 2:  # as SQLite does by itself when its disk is full
                connection.cursor().execute("ROLLBACK")

        turns = [self.turn("a"), self.turn("b", spoil), self.turn("c")]
        take_all(turns)
        assert self.kept() == ["a", "b", "c"]
        assert all(t.answer is not None for t in turns)
        assert self.groups == [("a", 1), ("b", 1), ("a", 0), ("b", 0), ("c", 0)]

    def test_a_commit_that_fails_is_tried_for_each(self):
        commits = []

        def refuse():
            commits.append(1)
            if len(commits) == 1:
                raise DatabaseError("disk full")

        turns = [self.turn("a"), self.turn("b", lambda: transaction.on_commit(refuse)), self.turn("c")]
        before = connection.commit
        connection.commit = lambda: (refuse(), before())
        try:
            take_all(turns)
        finally:
            del connection.commit
        assert self.kept() == ["a", "b", "c"]
        assert all(t.answer is not None for t in turns)
