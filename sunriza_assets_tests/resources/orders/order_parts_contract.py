"""What every `OrderStore` must do beside orders: rates, keys, notices, outputs, leases, answers."""

import base64
from datetime import timedelta

import pytest
from standardwebhooks import Webhook as StandardWebhook

from resources.orders.order import Webhook
from resources.orders.order_json import order_to_json
from resources.orders.records import KEEP_KEYS_S, ApiKey, RateLimit, StoredAnswer
from resources.orders.store import OrderStore
from sunriza_assets.errors import ConflictError
from sunriza_assets_tests.resources.orders.order_makers import (
    FREE,
    Clock,
    OpenStore,
    a_key,
    an_order,
    put,
)

HOOK = Webhook("https://hooks.example.com/x", ("job.running", "job.done", "job.error"))
TEN = RateLimit("reads", count=10, period_s=60.0)


def api_key(clock: Clock, key_id: str = "k1", owner: str = "anna") -> ApiKey:
    return ApiKey(key_id, "0" * 64, owner, frozenset({"render", "jobs"}), "my key", clock.time)


class OrderPartsContract:
    # Rates

    def test_a_rate_is_used_up_and_comes_back(self, store: OrderStore, clock: Clock) -> None:
        for left in reversed(range(10)):
            used = store.take("anna", TEN)
            assert (used.allowed, used.remaining, used.retry_after_s) == (True, left, 0.0)
        over = store.take("anna", TEN)
        assert (over.allowed, over.remaining, over.retry_after_s) == (False, 0, 6.0)
        assert store.take("ben", TEN).allowed
        assert store.take("anna", RateLimit("render", 10, 60.0)).allowed
        clock.move(5.999)
        assert not store.take("anna", TEN).allowed
        clock.move(0.001)
        assert store.take("anna", TEN).allowed
        assert not store.take("anna", TEN).allowed

    def test_units_are_taken_together_or_not_at_all(self, store: OrderStore) -> None:
        limit = RateLimit("upload_bytes", 2_000_000_000, 86_400.0)
        assert store.take("anna", limit, 1_999_999_999).remaining == 1
        over = store.take("anna", limit, 2)
        assert not over.allowed
        assert 0 < over.retry_after_s < 0.001
        assert store.take("anna", limit, 1).allowed
        assert store.take("ben", limit, 2_000_000_001).retry_after_s == 86_400.0
        assert store.take("ben", limit, 2_000_000_000).allowed

    def test_a_clock_set_back_locks_nobody_out_for_longer_than_the_period(
        self, store: OrderStore, clock: Clock
    ) -> None:
        for _ in range(10):
            store.take("anna", TEN)
        clock.move(-86_400 * 365)
        assert store.take("anna", TEN).retry_after_s <= 66
        clock.move(6)
        assert store.take("anna", TEN).allowed
        clock.move(60)
        assert store.take("anna", TEN).remaining == 9

    def test_rates_are_shared_by_all_processes(
        self, store: OrderStore, open_store: OpenStore
    ) -> None:
        elsewhere = open_store()
        allowed = [(store, elsewhere)[n % 2].take("anna", TEN).allowed for n in range(14)]
        assert allowed == [True] * 10 + [False] * 4
        elsewhere.close()

    # Keys

    def test_a_key_lives_until_it_is_revoked(self, store: OrderStore, clock: Clock) -> None:
        key = api_key(clock)
        store.add_key(key)
        assert store.find_key("k1") == key
        assert store.find_key("k2") is None
        with pytest.raises(ConflictError):
            store.add_key(key)
        clock.move(90)
        store.touch_key("k1", clock.time)
        found = store.find_key("k1")
        assert found is not None
        assert found.last_used_at == clock.time.replace(second=0, microsecond=0)
        store.touch_key("k1", clock.time - timedelta(hours=1))
        assert store.find_key("k1") == found
        assert store.revoke_key("k1")
        assert not store.revoke_key("k1")
        assert not store.revoke_key("k2")
        revoked = store.find_key("k1")
        assert revoked is not None
        assert revoked.revoked_at == clock.time

    def test_keys_are_listed_newest_first(self, store: OrderStore, clock: Clock) -> None:
        for name, owner in (("k1", "anna"), ("k2", "ben"), ("k3", "anna")):
            clock.move(1)
            store.add_key(api_key(clock, name, owner))
        assert [key.key_id for key in store.keys("anna")] == ["k3", "k1"]
        everybodys = store.keys()
        assert [key.key_id for key in everybodys] == ["k3", "k2", "k1"]

    def test_two_webhook_secrets_are_valid_for_a_day(self, store: OrderStore, clock: Clock) -> None:
        (first,) = store.webhook_secrets("anna")
        assert store.webhook_secrets("anna") == [first]
        assert store.webhook_secrets("ben") != [first]
        assert first.startswith("whsec_")
        assert len(base64.b64decode(first.removeprefix("whsec_"))) == 32
        StandardWebhook(first)  # the library takes it
        second = store.rotate_webhook_secret("anna")
        assert store.webhook_secrets("anna") == [second, first]
        clock.move(86_399)
        assert store.webhook_secrets("anna") == [second, first]
        clock.move(1)
        assert store.webhook_secrets("anna") == [second]
        third = store.rotate_webhook_secret("anna")
        fourth = store.rotate_webhook_secret("anna")
        assert store.webhook_secrets("anna") == [fourth, third]
        clock.move(86_400)
        store.sweep()
        assert store.webhook_secrets("anna") == [fourth]

    # Notices

    def test_an_end_is_told_once_with_the_change(self, store: OrderStore, clock: Clock) -> None:
        order = store.change(put(store, webhook=HOOK), step="a")
        assert store.due_notices() == []
        order = store.change(order, state="running")
        (running,) = store.due_notices()
        assert (running.event, running.channel, running.target) == (
            "job.running",
            "webhook",
            HOOK.url,
        )
        assert running.body == order_to_json(order)
        store.record_delivery(
            running.notice_id, status=200, ms=5, outcome="delivered", next_try_at=None
        )
        order = store.change(order, state="queued")
        order = store.change(order, state="running", attempt=2)
        assert store.due_notices() == []
        clock.move(1)
        done = store.change(order, state="done")
        (told,) = store.due_notices()
        assert (told.event, told.order_id, told.owner) == ("job.done", done.order_id, "anna")
        assert told.body == order_to_json(done)
        assert told.due_at == clock.time
        assert told.notice_id != running.notice_id

    def test_only_wanted_events_are_told(self, store: OrderStore) -> None:
        wants_errors = Webhook("https://hooks.example.com/e", ("job.error",))
        store.change(put(store, webhook=wants_errors), state="done")
        store.change(put(store), state="failed")
        assert store.due_notices() == []
        store.request_cancel(put(store, webhook=wants_errors).order_id)
        (told,) = store.due_notices()
        assert told.event == "job.error"
        assert told.body["state"] == "cancelled"

    def test_push_tells_the_end_of_every_order(self, open_store: OpenStore) -> None:
        store = open_store(push=True)
        store.change(store.change(put(store, "anna"), state="running"), state="done")
        store.change(put(store, "anna"), state="failed")
        store.change(put(store, "ben", webhook=HOOK), state="lost")
        told = [(one.owner, one.channel, one.target) for one in store.due_notices()]
        assert sorted(told) == [
            ("anna", "push", ""),
            ("ben", "push", ""),
            ("ben", "webhook", HOOK.url),
        ]
        store.close()

    def test_tries_are_listed_and_repeated(self, store: OrderStore, clock: Clock) -> None:
        order = store.change(put(store, webhook=HOOK), state="done")
        (told,) = store.due_notices()
        later = clock.time + timedelta(seconds=5)
        store.record_delivery(
            told.notice_id, status=500, ms=12, outcome="refused", next_try_at=later
        )
        assert store.due_notices() == []
        clock.move(5)
        (again,) = store.due_notices()
        assert (again.notice_id, again.tries, again.body) == (told.notice_id, 1, told.body)
        store.record_delivery(
            told.notice_id, status=None, ms=10_000, outcome="failed", next_try_at=None
        )
        clock.move(86_400)
        assert store.due_notices() == []
        tries = [
            (one.number, one.event, one.status, one.ms, one.outcome)
            for one in store.deliveries(order.order_id)
        ]
        assert tries == [
            (1, "job.done", 500, 12, "refused"),
            (2, "job.done", None, 10_000, "failed"),
        ]
        assert not store.redeliver(order.order_id, 3)
        assert not store.redeliver("job_x", 1)
        assert store.redeliver(order.order_id, 1)
        (third,) = store.due_notices()
        assert (third.notice_id, third.tries) == (told.notice_id, 2)
        store.record_delivery(
            told.notice_id, status=204, ms=1, outcome="delivered", next_try_at=None
        )
        assert store.due_notices() == []
        store.remove(order.order_id)
        assert store.deliveries(order.order_id) == []
        store.record_delivery(
            told.notice_id, status=200, ms=1, outcome="delivered", next_try_at=None
        )

    def test_a_dead_receiver_takes_one_place(self, store: OrderStore, clock: Clock) -> None:
        dead = Webhook("https://dead.example.com/")
        for _ in range(5):
            store.change(put(store, webhook=dead), state="done")
            clock.move(1)
        store.change(put(store, webhook=HOOK), state="done")
        assert [one.target for one in store.due_notices(2)] == [dead.url, HOOK.url]

    def test_an_api_keys_webhook_holds_unless_the_order_names_one(
        self, store: OrderStore, clock: Clock
    ) -> None:
        default = {"url": "https://key.example.com/", "events": ["job.done"]}
        store.add_key(
            ApiKey("k1", "0" * 64, "anna", frozenset({"jobs"}), "n", clock.time, webhook=default)
        )
        by_key = store.accept(an_order(), quota=FREE, api_key="k1").order
        assert by_key.webhook == Webhook("https://key.example.com/", ("job.done",))
        assert store.get(by_key.order_id) == by_key
        assert store.accept(an_order(webhook=HOOK), quota=FREE, api_key="k1").order.webhook == HOOK
        assert store.accept(an_order(), quota=FREE, api_key="k2").order.webhook is None

    # Outputs

    def test_an_output_belongs_to_its_owner_until_it_expires(
        self, store: OrderStore, clock: Clock
    ) -> None:
        end = clock.time + timedelta(hours=1)
        store.add_output("a.png", "anna", order_id=None, expires_at=end)
        store.add_output("b.png", "anna", order_id="job_1", expires_at=end)
        assert store.output_owner("a.png") == "anna"
        assert store.output_owner("c.png") is None
        assert store.outputs_of("job_1") == ["b.png"]
        found = store.output("b.png")
        assert found is not None
        assert (found.owner, found.order_id, found.expires_at) == ("anna", "job_1", end)
        assert store.expired_outputs() == []
        clock.move(3600)
        assert store.output_owner("a.png") is None
        assert store.output("b.png") is None
        expired = store.expired_outputs()
        assert [(one.name, one.order_id) for one in expired] == [
            ("a.png", None),
            ("b.png", "job_1"),
        ]
        assert len(store.expired_outputs(limit=1)) == 1
        assert store.remove_output("a.png")
        assert not store.remove_output("a.png")
        assert [one.name for one in store.expired_outputs()] == ["b.png"]

    # Consents

    def test_a_declaration_is_kept_once_and_goes_with_its_avatar(
        self, store: OrderStore, clock: Clock
    ) -> None:
        said = {"who": "Anna Ä", "given_on": "2026-01-31", "statement": "For my ' own avatar"}
        first = store.add_consent("anna", sample_sha256="0" * 64, avatar_id="a", **said)
        clock.move(60)
        again = store.add_consent("anna", sample_sha256="0" * 64, avatar_id="a", **said)
        assert again == first
        assert first.at == clock.time - timedelta(seconds=60)
        foreign = store.add_consent("ben", sample_sha256="0" * 64, **said)
        other = store.add_consent("anna", sample_sha256="1" * 64, **said)
        assert store.consents("anna") == [other, first]
        assert len(store.consents(None)) == 3
        assert store.remove_consents_of("a") == 1
        assert store.remove_consents_of("a") == 0
        assert store.consents("anna") == [other]
        assert store.remove_consent(other.consent_id)
        assert not store.remove_consent(other.consent_id)
        assert store.consents(None) == [foreign]

    # Leases

    def test_one_holds_a_lease_at_a_time(
        self, store: OrderStore, open_store: OpenStore, clock: Clock
    ) -> None:
        elsewhere = open_store()
        assert store.lease("dispatcher") is None
        assert store.hold_lease("dispatcher", "one").holder == "one"
        clock.move(9.999)
        held = elsewhere.hold_lease("dispatcher", "two")
        assert held.holder == "one"
        assert held.until == clock.time + timedelta(milliseconds=1)
        assert store.hold_lease("dispatcher", "one").until == clock.time + timedelta(seconds=10)
        clock.move(10)
        assert elsewhere.hold_lease("dispatcher", "two").holder == "two"
        assert store.hold_lease("dispatcher", "one").holder == "two"
        store.release_lease("dispatcher", "one")
        lease = store.lease("dispatcher")
        assert lease is not None
        assert (lease.holder, lease.renewed_at) == ("two", clock.time)
        assert store.hold_lease("other", "one").holder == "one"
        elsewhere.release_lease("dispatcher", "two")
        assert store.hold_lease("dispatcher", "one").holder == "one"
        elsewhere.close()

    def test_a_lease_ends_although_the_clock_was_set_back(
        self, store: OrderStore, clock: Clock
    ) -> None:
        store.hold_lease("dispatcher", "dead")
        clock.move(-86_400)
        assert store.hold_lease("dispatcher", "one").holder == "dead"
        clock.move(10)
        assert store.hold_lease("dispatcher", "one").holder == "one"

    # Answers without orders, readiness

    def test_a_request_without_an_order_is_answered_once(
        self, store: OrderStore, clock: Clock
    ) -> None:
        key = a_key()
        assert store.begin_answer(key) is None
        with pytest.raises(ConflictError) as busy:
            store.begin_answer(key)
        assert busy.value.code == "conflict.in_progress"
        store.abandon_answer(key)
        assert store.begin_answer(key, seconds=60) is None
        clock.move(60)
        assert store.begin_answer(key) is None
        answer = StoredAnswer(201, {"avatar_id": "a"})
        store.finish_answer(key, answer)
        store.abandon_answer(key)
        assert store.begin_answer(key) == answer
        with pytest.raises(ConflictError) as other:
            store.begin_answer(a_key(fingerprint="0"))
        assert other.value.code == "conflict.idempotency"
        clock.move(KEEP_KEYS_S)
        assert store.sweep() == 1
        assert store.begin_answer(a_key(fingerprint="0")) is None

    def test_it_can_be_written(self, store: OrderStore) -> None:
        store.check_writable()
        store.check_writable()
