"""Modes, keys, and what a verified token spares."""

import threading
import time

import pytest

from resources.settings import Settings
from sunriza_assets.errors import AccessError, ParameterError
from sunriza_assets.service.auth.keys import key_id_of, make_key, matches
from sunriza_assets.service.auth.modes import auth_mode
from sunriza_assets.service.auth.tokens import Certificates, TokenVerifier
from sunriza_assets_tests.service.key_server import PROJECT, SigningKey, key_server

EVERYWHERE = "0.0.0.0"  # noqa: S104


def settings(**values):
    return Settings.from_environment(values)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "[::1]", "localhost", "127.8.8.8", "/a.sock"])
def test_open_on_loopback(host):
    assert auth_mode(settings(), host).open_mode
    assert not auth_mode(settings(SUNRIZA_AUTH="required"), host).open_mode


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "10.0.0.1", "example.com", ""])
def test_never_open_elsewhere(host):
    assert not auth_mode(settings(), host).open_mode
    with pytest.raises(ParameterError, match="SUNRIZA_AUTH=off"):
        auth_mode(settings(SUNRIZA_AUTH="off"), host)


def test_tokens_of_an_emulator_are_never_taken():
    with pytest.raises(ParameterError, match="FIREBASE_AUTH_EMULATOR_HOST"):
        auth_mode(settings(FIREBASE_AUTH_EMULATOR_HOST="localhost:9099"), EVERYWHERE)
    auth_mode(settings(FIREBASE_AUTH_EMULATOR_HOST="localhost:9099"), "127.0.0.1")


def test_a_date_that_is_none_is_refused():
    with pytest.raises(ParameterError, match="2027-02-30"):
        auth_mode(settings(SUNRIZA_AUTH="anonymous-until=2027-02-30"), EVERYWHERE)


def test_keys_are_well_formed_and_only_their_hash_is_kept():
    text, key = make_key("user-1", ["jobs"], "phone")
    assert text.startswith(f"snz_{key.key_id}_") and len(text.rpartition("_")[0]) >= 16
    assert key_id_of(text) == key.key_id
    assert matches(text, key) and not matches(text + "x", key) and not matches(text, None)
    assert text.removeprefix(f"snz_{key.key_id}_") not in repr(key)
    assert len({make_key("u", ["jobs"], "n")[0] for _ in range(100)}) == 100
    for scopes, name in ((["root"], "n"), ([], "n"), (["jobs"], ""), (["jobs"], "a\nb")):
        with pytest.raises(ParameterError):
            make_key("u", scopes, name)


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def test_a_verified_token_is_remembered_but_never_past_its_end():
    clock = Clock()
    with key_server() as keys:
        verifier = TokenVerifier(PROJECT, Certificates(keys.url), clock)
        short, long = keys.token(exp=int(clock.now) + 100), keys.token(sub="user-2")
        for token in (short, long):
            assert verifier.known(token) is None
            assert verifier.known(token) == verifier.verify(token) or verifier.known(token)
        clock.now += 99
        assert verifier.known(short).uid == "user-1"
        clock.now += 2
        assert verifier.known(short) is None
        assert verifier.known(long).uid == "user-2"
        clock.now += 300
        assert verifier.known(long) is None
        assert keys.asked == 1


def test_new_certificates_are_fetched_when_the_old_ones_have_aged():
    clock = Clock()
    with key_server() as keys:
        keys.max_age = 100
        certificates = Certificates(keys.url, clock)
        assert certificates.load("k1") and certificates.load("k1") and keys.asked == 1
        keys.keys["k2"] = SigningKey()
        assert not certificates.load("k2")  # asked a moment ago
        clock.now += 11
        assert certificates.load("k2") and keys.asked == 2
        del keys.keys["k1"]
        clock.now += 101
        assert not certificates.load("k1") and certificates.load("k2") and keys.asked == 3
        keys.status = 500
        clock.now += 101
        assert certificates.load("k2")  # an outage of their server is not one of ours
        verifier = TokenVerifier(PROJECT, certificates, clock)
        with pytest.raises(AccessError):
            verifier.verify(keys.token(header={"kid": "k1"}, signer=keys.keys["k2"]))


def test_a_slow_certificate_server_holds_nobody_who_needs_no_new_key():
    clock = Clock()
    with key_server() as keys:
        keys.max_age = 100
        certificates = Certificates(keys.url, clock)
        assert certificates.load("k1")
        clock.now += 101
        keys.answering.clear()  # the server accepts, and says nothing
        fetching = threading.Thread(target=certificates.load, args=("k1",))
        fetching.start()
        while keys.asked < 2:
            time.sleep(0.01)
        assert certificates.load("k1")
        assert fetching.is_alive()
        keys.answering.set()
        fetching.join()


def test_without_a_project_no_token_is_taken():
    with pytest.raises(AccessError, match="no API key"):
        TokenVerifier(None, Certificates("http://127.0.0.1:9")).verify("a.b.c")
