"""The discovery document says what is there and nothing else."""

from control.auth.oidc.issuer import configuration
from tests.support.auth import ISSUER


def test_the_document_of_an_application() -> None:
    document = configuration(ISSUER, "wiki")
    assert document["issuer"] == "https://garrison.example.com/application/o/wiki/"
    assert document["authorization_endpoint"] == "https://garrison.example.com/application/o/authorize/"
    assert document["jwks_uri"] == "https://garrison.example.com/application/o/wiki/jwks/"
    assert document["end_session_endpoint"] == "https://garrison.example.com/application/o/wiki/end-session/"


def test_it_claims_no_endpoint_that_is_not_there() -> None:
    document = configuration(ISSUER, "wiki")
    for name in ("token_endpoint", "userinfo_endpoint", "registration_endpoint", "introspection_endpoint"):
        assert name not in document
    # Discovery 1.0 section 3: the last of these counts as true when it is left out.
    assert [document[f"{name}_parameter_supported"] for name in ("claims", "request", "request_uri")] == [False] * 3
