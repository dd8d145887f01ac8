from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from streams.brokers import Brokers
from streams.errors import ConfigError, UnavailableError
from streams.kafka_tokens import TokenEndpoint
from streams.settings import Settings
from tests.support.secure_kafka import Certificates, token_endpoint

if TYPE_CHECKING:
    from pathlib import Path

SECRET = SecretStr("s3cr3t")


def test_without_settings_nothing_is_asked_of_clients() -> None:
    brokers = Settings(kafka="a:1, b:2").brokers
    assert brokers.servers == ["a:1", "b:2"]
    assert brokers.for_faust() is None
    assert brokers.for_aiokafka() == {
        "bootstrap_servers": ["a:1", "b:2"],
        "security_protocol": "PLAINTEXT",
        "ssl_context": None,
    }


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"kafka_ca_file": "ca.pem"}, "FENGHUO_KAFKA_CA_FILE is set.* Set it to SSL or SASL_SSL"),
        ({"kafka_sasl_mechanism": "PLAIN"}, "MECHANISM is set.* Set it to SASL_SSL"),
        ({"kafka_security_protocol": "SASL_SSL"}, "name FENGHUO_KAFKA_SASL_MECHANISM"),
        (
            {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "PLAIN"},
            "PLAIN needs FENGHUO_KAFKA_USERNAME",
        ),
        (
            {"kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "OAUTHBEARER"},
            "needs FENGHUO_KAFKA_TOKEN_URL",
        ),
        (
            {
                "kafka_security_protocol": "SASL_SSL",
                "kafka_sasl_mechanism": "OAUTHBEARER",
                "kafka_token_url": "http://identity.example/token",
                "kafka_client_id": "fenghuo",
                "kafka_client_secret": SECRET,
            },
            "must begin with https://",
        ),
    ],
)
def test_settings_that_contradict_each_other(given: dict[str, object], told: str) -> None:
    settings = Settings(**given)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=told):
        _ = settings.brokers


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    (tmp_path / "empty.pem").touch()
    for ca_file, told in (("none.pem", "cannot be read"), ("empty.pem", "cannot be used")):
        with pytest.raises(ConfigError, match=f"FENGHUO_KAFKA_CA_FILE: .*{ca_file} {told}"):
            _ = Brokers("a:1", "SSL", ca_file=str(tmp_path / ca_file)).ssl_context
    with pytest.raises(ConfigError, match="FENGHUO_KAFKA_CERT_FILE"):
        _ = Brokers("a:1", "SSL", cert_file=certificates.authority).ssl_context
    assert Brokers("a:1", "SSL", cert_file=certificates.client).ssl_context is not None


def test_secrets_are_read_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("kafka_password", "database", "oidc_client_secret"):
        (tmp_path / name).write_text(f"{name}-s3cr3t\n")
        monkeypatch.setenv(f"FENGHUO_{name.upper()}_FILE", str(tmp_path / name))
    monkeypatch.setenv("FENGHUO_OIDC_CLIENT_SECRET", "given")
    settings = Settings()
    assert settings.kafka_password.get_secret_value() == "kafka_password-s3cr3t"
    assert settings.database == "database-s3cr3t"
    assert settings.oidc_client_secret.get_secret_value() == "given"
    assert "s3cr3t" not in repr(settings)
    monkeypatch.setenv("FENGHUO_KAFKA_PASSWORD_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"FENGHUO_KAFKA_PASSWORD_FILE: .*none: No such file"):
        Settings()


def test_tokens_are_kept_until_shortly_before_they_expire() -> None:
    now = [0.0]
    with token_endpoint("fenghuo", "a:b/c d") as (url, asked):
        endpoint = TokenEndpoint(
            url, "fenghuo", SecretStr("a:b/c d"), scope="events alerts", clock=lambda: now[0]
        )
        assert "a:b/c d" not in repr(endpoint)
        # The test's endpoint does not decode what RFC 6749 has clients encode.
        with pytest.raises(UnavailableError, match="401: invalid_client"):
            endpoint.token()
    with token_endpoint("fenghuo", "s3cr3t") as (url, asked):
        endpoint = TokenEndpoint(
            url, "fenghuo", SECRET, scope="events alerts", clock=lambda: now[0]
        )
        first = endpoint.token()
        now[0] = 3569.0
        assert endpoint.token() == first
        assert asked == ["grant_type=client_credentials&scope=events+alerts"]
        now[0] = 3571.0
        endpoint.token()
        assert len(asked) == 2


def test_no_secret_is_in_what_is_shown(tmp_path: Path) -> None:
    brokers = Brokers("a:1", "SASL_PLAINTEXT", mechanism="PLAIN", username="u", password=SECRET)
    assert "s3cr3t" not in repr(brokers) + repr(brokers.for_faust())
    endpoint = TokenEndpoint("https://127.0.0.1:9/token", "id", SECRET)
    with pytest.raises(UnavailableError, match=r"token endpoint .* does not answer") as caught:
        endpoint.token()
    assert "s3cr3t" not in "".join(traceback.format_exception(caught.value))
