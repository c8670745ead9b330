"""Settings: the defaults of the design, and wrong values told by name and never shown where they may be secret."""

from __future__ import annotations

import base64
import logging
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapjobs.contract.errors import SettingsError
from swapjobs.settings import (
    CoreSettings,
    GatewaySettings,
    Rate,
    WorkerSettings,
    known_fields,
    known_names,
    load_settings,
)

SECRET = "whsec_" + base64.b64encode(b"a secret of the tests, 32 bytes!").decode()
OTHER = "whsec_" + base64.b64encode(b"another one of the tests, 32 b.!").decode()

DEFAULTS = {
    "redis_url": "redis://127.0.0.1:6379/0",
    "submit_durability": "memory",
    "api_url": "https://api.zhiqite.com",
    "api_key_id": None,
    "api_key_secret": None,
    "rate_limit": "5/s",
    "rate_burst": 1,
    "query_rate_limit": None,
    "max_in_flight": 0,
    "vendor_id_prefix": "",
    "call_timeout_s": 60,
    "max_attempts": 6,
    "retry_base_s": 1,
    "retry_cap_s": 120,
    "lease_s": 30,
    "result_ttl_s": 604_800,
    "concurrency": 32,
    "webhook_secrets": (),
    "webhook_allowed_networks": (),
}

WRONG = [
    ("REDIS_URL", "http://:hush@x.example"),
    ("REDIS_URL", "127.0.0.1:6379"),
    ("REDIS_URL", "redis+sentinel://:hush@s1:1"),
    ("SUBMIT_DURABILITY", "disk"),
    ("RESULT_TTL_S", "59"),
    ("RESULT_TTL_S", "a week"),
    ("API_URL", "api.example"),
    ("API_URL", "https://user:hush@api.example"),
    ("API_URL", "https://api.example?key=hush"),
    ("RATE_LIMIT", "fast"),
    ("RATE_BURST", "0"),
    ("QUERY_RATE_LIMIT", "1/d"),
    ("MAX_IN_FLIGHT", "-1"),
    ("VENDOR_ID_PREFIX", "a~b"),
    ("VENDOR_ID_SUFFIX", "perhaps"),
    ("CALL_TIMEOUT_S", "0"),
    ("CALL_TIMEOUT_S", "nan"),
    ("MAX_RESPONSE_BYTES", "1"),
    ("MAX_ATTEMPTS", "0"),
    ("MAX_ATTEMPTS", "1.5"),
    ("RETRY_BASE_S", "-1"),
    ("POLL_CAP_S", "0"),
    ("LEASE_S", "1"),
    ("CONCURRENCY", "0"),
    ("WEBHOOK_CONCURRENCY", "many"),
    ("WEBHOOK_SECRETS", "hush-hush"),
    ("WEBHOOK_SECRETS", f"{SECRET},whsec_hush"),
    ("WEBHOOK_SECRETS", f"{SECRET};{OTHER}"),
    ("WEBHOOK_TIMEOUT_S", "121"),
    ("WEBHOOK_ALLOWED_NETWORKS", "127.0.0.1/8"),
    ("WEBHOOK_ALLOWED_NETWORKS", "localhost"),
]


def in_environment(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"SWAPJOBS_{name}", value)


def refusal() -> str:
    with pytest.raises(SettingsError) as refused:
        load_settings(WorkerSettings)
    return str(refused.value)


@pytest.mark.parametrize(("name", "default"), DEFAULTS.items())
def test_defaults_are_those_of_the_design(name: str, default: Any) -> None:
    assert getattr(load_settings(WorkerSettings), name) == default
    assert f"SWAPJOBS_{name.upper()}" in known_names()


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_told_in_one_line_by_the_name_of_its_variable(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_environment(monkeypatch, **{name: value})
    result = refusal()
    assert result.startswith(f"SWAPJOBS_{name}: ")
    assert "\n" not in result
    assert "hush" not in result
    assert SECRET not in result
    assert "Value error" not in result


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("CONCURRENCY", "many", "must be a whole number, at least 1 and at most 1000, like 32"),
        ("LEASE_S", "nan", "must be a number, at least 2, like 30"),
        ("SUBMIT_DURABILITY", "fsnyc", "must be one of memory, fsync; did you mean fsync?"),
        ("WEBHOOK_ROTATING", "perhaps", "must be true or false"),
        ("VENDOR_ID_PREFIX", "a~b", "must be at most 16 letters, digits, '.', '_' and '-', like test-"),
        ("CONSOLE_URL", "swap.example", "must be an http:// or https:// URL, like https://swap.example/flower"),
        ("WEBHOOK_ALLOWED_NETWORKS", "::1,localhost", "'localhost' is no network: each must be ADDRESS/BITS, like 10."),
        (
            "WEBHOOK_ALLOWED_NETWORKS",
            "10.1.2.3/8",
            "'10.1.2.3/8' is an address in a network, and not the network; did ",
        ),
        ("WEBHOOK_PORTS", "443,https", "'https' is no port: each must be from 1 to 65535, as in 443,8443"),
        ("WEBHOOK_PORTS", "65536", "'65536' is no port"),
        ("REDIS_URL", "redis://:hush@h:port/0", "the port is not a number; percent-encode the password: "),
        ("REDIS_URL", "redis://:hush@h:70000/0", "the port is not between 1 and 65535"),
        ("REDIS_URL", "redis://:hush@::1/0", "the host is not written as it must be, an IPv6 address in [brackets]; "),
        (
            "WEBHOOK_SECRETS",
            "whsec_$(openssl rand -base64 32)",
            "must be whsec_ and the base64 of 24 to 64 random bytes, as",
        ),
        ("CELERY_BROKER_URL", "127.0.0.1", "must be a URL, like redis://"),
        ("CELERY_BROKER_URL", "amqp://h//;h2:5672", "must be a URL, like redis://"),
        ("CELERY_BROKER_URL", "redis://:hush@h:port/0", "the host or the port is not written as it must be, like "),
        ("CELERY_BROKER_URL", "amqp://u:hush@h:99999//", "the host or the port is not written as it must be, like "),
        ("CELERY_RESULT_BACKEND", "127.0.0.1:6379", "must be a URL, like redis://"),
        ("CELERY_RESULT_BACKEND", "localhost", "must be a URL, like redis://"),
        ("HEALTH_HOST", "127.0.0.1:9000", "must be an IP address or a host name without a port, like 127.0.0.1, ::"),
        ("HEALTH_HOST", "http://0.0.0.0", "must be an IP address or a host name"),
        ("HEALTH_HOST", "127.0.0.256", "must be an IP address or a host name"),
        ("METRICS_TENANTS", "acme, ze ta", "must be 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'"),
        ("API_KEY_ID", "hush\u00e9", "must be printable ASCII without spaces around it"),
        ("PRICES", "roop", "'roop' is not TOOL=PRICE; several are comma separated, like roop=0.04"),
        ("PRICES", "roop=cheap", "the price of 'roop' must be a number, at least 0, as in roop=0.04"),
        ("PRICES", "roop=inf", "the price of 'roop' must be a number"),
    ],
)
def test_a_wrong_value_is_told_what_is_right(
    name: str, value: str, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_environment(monkeypatch, **{name: value})
    result = refusal()
    assert result.startswith(f"SWAPJOBS_{name}: {complaint}")
    assert "hush" not in result


@pytest.mark.parametrize(
    "url",
    [
        *(
            "redis://",
            "rediss://:p@ss@h:1/2",
            "redis+socket:///run/redis.sock",
            "amqp://u:p@h:5672//",
            "amqp://",
            "sqs://",
        ),
        *("pyamqp://g@h//", "sentinel://a:1;sentinel://b:2", "memory://", "filesystem://", "sqla+sqlite:///a.db"),
        *("mongodb://a:1,b:2/db", "confluentkafka://h:9092", "shop.brokers:Transport://h", "SQS://", " redis://h"),
    ],
)
def test_every_kind_of_broker_is_taken(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    in_environment(monkeypatch, CELERY_BROKER_URL=url, CELERY_RESULT_BACKEND=url)
    settings = load_settings(WorkerSettings)
    assert settings.celery_broker_url == settings.celery_result_backend


@pytest.mark.parametrize(
    "name", ["rpc", "rpc://", "disabled", "shop.results:Backend", "shop.results.Backend", "db+sqlite:///a"]
)
def test_results_may_also_lie_where_a_name_says(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    in_environment(monkeypatch, CELERY_RESULT_BACKEND=name)
    load_settings(WorkerSettings)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "fe80::1%eth0", "localhost", "worker_1.swaps.svc."])
def test_every_kind_of_host_is_taken(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    in_environment(monkeypatch, HEALTH_HOST=host)
    assert load_settings(WorkerSettings).health_host == host


def test_what_others_read_can_be_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    in_environment(monkeypatch, GATEWAY_KEYS="hush", RATE_LIMIT="fast", LOG_FORMAT="xml")
    with pytest.raises(SettingsError) as refused:
        load_settings(WorkerSettings, besides=[GatewaySettings])
    assert [text.partition(":")[0] for text in str(refused.value).split("; ")] == [
        "SWAPJOBS_LOG_FORMAT",
        "SWAPJOBS_RATE_LIMIT",
        "SWAPJOBS_GATEWAY_KEYS",
    ]
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("value", ["nonsense!", "-1", "a b,c=d", "\N{SNOWMAN}"])
def test_no_setting_speaks_of_what_checks_it(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = []
    for name, (_, reader) in known_fields().items():
        kind = GatewaySettings if reader == "gateway" else WorkerSettings
        with monkeypatch.context() as patch:
            in_environment(patch, **{name.upper(): value})
            try:
                load_settings(kind)
            except SettingsError as error:
                refusals.append(str(error))
    assert len(refusals) > 50
    assert [text for text in refusals if re.search("Input|String|valid|pars|pattern|item", text)] == []


@pytest.mark.parametrize("url", ["redis://h:port/0", "redis://h:99999/0", "redis://[::1/0", "redis://h/0?nonsense=1"])
def test_a_redis_url_that_redis_py_cannot_read_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    in_environment(monkeypatch, REDIS_URL=url)
    assert refusal().startswith("SWAPJOBS_REDIS_URL: ")


def test_all_wrong_values_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    in_environment(monkeypatch, LEASE_S="0", RATE_LIMIT="fast")
    result = refusal()
    assert "SWAPJOBS_LEASE_S: " in result
    assert "SWAPJOBS_RATE_LIMIT: must be a rate like 5/s, 300/m or 1000/h" in result


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"API_KEY_ID": "hush"}, "API_KEY_SECRET"),
        ({"API_KEY_SECRET": "hush"}, "API_KEY_ID"),
        ({"RETRY_BASE_S": "200"}, "RETRY_CAP_S"),
        ({"POLL_BASE_S": "200"}, "POLL_CAP_S"),
    ],
)
def test_values_that_do_not_go_together_are_named(
    values: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_environment(monkeypatch, **values)
    result = refusal()
    assert named in result
    assert "hush" not in result


def test_a_producer_does_not_mind_a_worker_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    in_environment(monkeypatch, RATE_LIMIT="fast")
    assert load_settings(CoreSettings).redis_url == DEFAULTS["redis_url"]


def test_secrets_are_not_shown_when_settings_are(monkeypatch: pytest.MonkeyPatch) -> None:
    in_environment(monkeypatch, API_KEY_ID="hush-1", API_KEY_SECRET="hush-2", WEBHOOK_SECRETS=SECRET)
    settings = load_settings(WorkerSettings)
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert "hush" not in shown
    assert SECRET not in shown
    assert settings.api_key_secret is not None
    assert settings.api_key_secret.get_secret_value() == "hush-2"


def test_lists_are_comma_separated_with_or_without_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    in_environment(
        monkeypatch,
        WEBHOOK_SECRETS=f"{SECRET}, {OTHER},",
        WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8,::1/128",
        VENDOR_UNKNOWN_CODES="404, 40401",
    )
    settings = load_settings(WorkerSettings)
    assert [secret.get_secret_value() for secret in settings.webhook_secrets] == [SECRET, OTHER]
    assert settings.webhook_allowed_networks == (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    assert settings.vendor_unknown_codes == ("404", "40401")


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    in_environment(monkeypatch, REDIS_URL="", RATE_LIMIT="", WEBHOOK_SECRETS="", API_KEY_ID="")
    assert load_settings(WorkerSettings) == WorkerSettings()


@given(st.integers(1, 9_999_999), st.sampled_from([("s", 1), ("m", 60), ("h", 3600)]), st.sampled_from(["", " "]))
def test_a_rate_says_how_many_calls_in_how_many_seconds(calls: int, unit: tuple[str, int], space: str) -> None:
    rate = Rate(f"{space}{calls}{space}/{space}{unit[0]}{space}")
    assert (rate, rate.calls, rate.period_s) == (f"{calls}/{unit[0]}", calls, unit[1])
    assert rate.interval_s * calls == pytest.approx(unit[1])


@pytest.mark.parametrize("text", ["", "5", "0/s", "-1/s", "1.5/s", "5/", "/s", "5/S", "5/d", "5 per s", "12345678/s"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="5/s, 300/m or 1000/h"):
        Rate(text)


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("SWAPJOBS_CONCURRENCY=7\nSWAPJOBS_LEASE_S=9\nOTHER=1\n", encoding="utf-8")
    in_environment(monkeypatch, CONCURRENCY="8")
    settings = load_settings(WorkerSettings)
    assert (settings.concurrency, settings.lease_s) == (8, 9)


def test_an_unknown_name_in_the_file_is_refused_and_the_known_ones_are_told() -> None:
    Path(".env").write_text("SWAPJOBS_RATE=hush\n", encoding="utf-8")
    result = refusal()
    assert result.startswith(".env: unknown setting SWAPJOBS_RATE; known are ")
    assert "SWAPJOBS_RATE_LIMIT" in result
    assert "hush" not in result


def test_a_misspelt_name_is_told_the_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("SWAPJOBS_RATE_LIMT=3/s\n", encoding="utf-8")
    assert refusal() == ".env: unknown setting SWAPJOBS_RATE_LIMT; did you mean SWAPJOBS_RATE_LIMIT?"
    Path(".env").unlink()
    in_environment(monkeypatch, CONCURENCY="3")
    with pytest.warns(UserWarning, match="is ignored; did you mean SWAPJOBS_CONCURRENCY"):
        load_settings(CoreSettings)


@pytest.mark.parametrize("kind", [CoreSettings, GatewaySettings, WorkerSettings])
@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("redis_ulr", "did you mean redis_url?"),
        ("SWAPJOBS_REDIS_URL", "did you mean redis_url?"),
        ("Result_TTL", "did you mean result_ttl_s?"),
        ("nonsense", "known are redis_url, result_ttl_s, "),
    ],
)
def test_a_misspelt_name_in_a_call_is_refused_and_told_the_right_one(
    kind: type[CoreSettings], name: str, meant: str
) -> None:
    with pytest.raises(SettingsError, match=f"^unknown setting {name}; {re.escape(meant)}") as refused:
        kind(**{name: "redis://:hush@h/0"})  # type: ignore[arg-type]
    assert "hush" not in str(refused.value)


def test_what_other_groups_and_programs_read_is_no_misspelt_name(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("SWAPJOBS_CONCURRENCY=7\nSWAPJOBS_CONSOLE=no\nOTHER=1\n", encoding="utf-8")
    in_environment(monkeypatch, RATE_LIMIT="6/s", GATEWAY_MAX_WAITS="3")
    assert CoreSettings(result_ttl_s=70).result_ttl_s == 70
    assert WorkerSettings(result_ttl_s=70).rate_limit == "6/s"
    assert GatewaySettings(result_ttl_s=70).gateway_max_waits == 3


def test_a_setting_that_is_written_otherwise_in_the_file_is_not_passed_over() -> None:
    text = "# a comment\nOF_OTHERS: 1\n\nSWAPJOBS_REDIS_URL: redis://:hush@h:1/0\n"
    Path(".env").write_text(text, encoding="utf-8")
    with pytest.warns(UserWarning, match="^.env: line 2: is not NAME=VALUE, and is ignored$"):
        assert refusal() == ".env: line 4: is not NAME=VALUE"


@pytest.mark.parametrize("line", ["OF_OTHERS: hush", "this is not a line: hush", "NAME='hush"])
def test_a_line_of_another_program_that_is_none_is_told_once_and_in_our_words(
    line: str, caplog: pytest.LogCaptureFixture
) -> None:
    Path(".env").write_text(f"A=1\n\n{line}\nSWAPJOBS_LEASE_S=9\n", encoding="utf-8")
    with pytest.warns(UserWarning, match="^.env: line 3: is not NAME=VALUE, and is ignored$") as warned:
        assert load_settings(WorkerSettings, besides=[GatewaySettings]).lease_s == 9
    assert len(warned) == 1
    assert caplog.text == ""
    assert logging.getLogger("dotenv.main").filters == []


def test_a_folder_in_the_place_of_the_file_is_refused_unless_it_is_a_venv() -> None:
    Path(".env").mkdir()
    assert refusal().startswith(".env: is a folder")
    Path(".env/pyvenv.cfg").touch()
    load_settings(CoreSettings)


def test_a_file_that_is_not_utf_8_is_refused() -> None:
    Path(".env").write_bytes(b"SWAPJOBS_LEASE_S=\xff\n")
    assert ".env" in refusal()


def test_an_unknown_name_in_the_environment_is_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    in_environment(monkeypatch, BOGUS="hush")
    with pytest.warns(UserWarning, match="^unknown setting SWAPJOBS_BOGUS in the environment is ignored$"):
        load_settings(CoreSettings)


PASSWORD_SLIPS = [
    "redis://:top@geheim/x7#@127.0.0.1:27001/0",
    "redis://:geheim@x@h:6379/0",
    "redis://:geheim/x@h:6379/0",
    "redis://:geheim#x@h:6379/0",
    "redis://:geheim?x@h:6379/0",
    "redis://:geheim%x@h:6379/0",
    "rediss://user:ge/heim@h",
    "redis://h:geheim/0",
    "redis://h/geheim",
]


@pytest.mark.parametrize("url", PASSWORD_SLIPS)
def test_a_redis_url_whose_password_is_not_encoded_is_refused_without_a_word_of_it(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("SWAPJOBS_REDIS_URL", url)
    with pytest.raises(SettingsError) as refused:
        load_settings(CoreSettings)
    result = f"{refused.value}{refused.value.__cause__ or ''}"
    assert "percent-encode the password" in result or "database" in result
    assert "geheim" not in result
    assert "heim" not in result


@pytest.mark.parametrize(
    "url", ["redis://", "redis://h", "redis://:p%40ss@h:1/2", "redis://u:p:q@h/", "redis://[::1]:6379/0"]
)
def test_a_right_redis_url_is_taken(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("SWAPJOBS_REDIS_URL", url)
    assert load_settings(CoreSettings).redis_url == url


def test_what_kubernetes_sets_beside_a_service_is_no_setting(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    """For Services called swapjobs, swapjobs-gateway and swapjobs-redis; a number as _PORT is a person's slip."""
    for service, port in (("SWAPJOBS", 80), ("SWAPJOBS_GATEWAY", 8780), ("SWAPJOBS_REDIS", 6379)):
        monkeypatch.setenv(f"{service}_SERVICE_HOST", "10.0.0.1")
        monkeypatch.setenv(f"{service}_SERVICE_PORT", str(port))
        monkeypatch.setenv(f"{service}_SERVICE_PORT_HTTP", str(port))
        monkeypatch.setenv(f"{service}_PORT", f"tcp://10.0.0.1:{port}")
        monkeypatch.setenv(f"{service}_PORT_{port}_TCP", f"tcp://10.0.0.1:{port}")
        for part, value in (("PROTO", "tcp"), ("PORT", str(port)), ("ADDR", "10.0.0.1")):
            monkeypatch.setenv(f"{service}_PORT_{port}_TCP_{part}", value)
    load_settings(CoreSettings)
    assert not recwarn.list
    monkeypatch.setenv("SWAPJOBS_REDIS_PORT", "6379")
    with pytest.warns(UserWarning, match="unknown setting SWAPJOBS_REDIS_PORT"):
        load_settings(CoreSettings)
