"""A report can be checked with tools that are not VSM's.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import hashlib
import json
import time

import pytest

from vsmtest import report
from vsmtest.vsm import b64url, unb64url


@pytest.fixture
def attested(paused):
    """A match, and the keys under which it is to be checked."""
    answer = paused.attest("tag:boot")
    status = paused.vsm_status()
    answer.ak, answer.rk = json.loads(status["ak"]), json.loads(status["rk"])
    answer.guest = paused
    return answer


def name_of(jwk):
    """A JWK's kid-like thumbprint, RFC 7638."""
    text = json.dumps({key: jwk[key] for key in ("crv", "kty", "x", "y")},
                      sort_keys=True, separators=(",", ":"))
    return b64url(hashlib.sha256(text.encode()).digest())


def test_jose_accepts_the_report_under_the_report_key(attested, tmp_path):
    assert report.jose_verify(attested.report, attested.rk, tmp_path)
    claims = json.loads((tmp_path / "claims.json").read_text())
    assert claims == attested.claims


def test_jose_refuses_another_key_and_a_changed_report(attested, tmp_path):
    assert not report.jose_verify(attested.report, attested.ak, tmp_path)
    head, body, signature = attested.report.split(".")
    changed = unb64url(body).replace(b'"match"', b'"mismatch"')
    forged = ".".join((head, b64url(changed), signature))
    assert not report.jose_verify(forged, attested.rk, tmp_path)


def test_header_names_the_key_and_a_strong_algorithm(attested):
    header = json.loads(unb64url(attested.report.split(".")[0]))
    assert header["alg"] in ("ES256", "ES384")
    assert header["kid"]


def test_claims_echo_the_request_and_the_snapshot(attested):
    claims = attested.claims
    snapshot = attested.guest.vsm_snapshot("boot")
    assert claims["eat_nonce"] == b64url(attested.nonce)
    assert abs(claims["iat"] - time.time()) < 120
    assert (claims["op"], claims["asked"]) == ("attest", "tag:boot")
    assert (claims["scope"], claims["result"]) == ("full", "match")
    assert claims["vm"]["uuid"] == attested.guest.config.uuid
    assert claims["vm"]["name"] == attested.guest.config.name
    assert claims["snapshot"]["id"] == snapshot["id"]
    assert claims["snapshot"]["tag"] == "boot"
    assert claims["snapshot"]["state"] == snapshot["state"]
    assert claims["measured"] == snapshot["state"]
    assert claims["covers"] == ["ram", "vcpus", "devices"]
    daemon = attested.guest.daemon is not None
    assert claims["attester"] == ("daemon" if daemon else "in-process")
    assert claims["hypervisor_measured_by"] == ("daemon" if daemon
                                                else "self")
    assert claims["state_measured_by"] == "self"
    assert claims["unmeasured_boot"] is False
    assert claims["require_sealed"] is True
    assert claims["unsealed"] is True
    assert claims["boot_policy"] == "frozen"


def test_claims_name_the_weaker_settings(machines, golden):
    guest = machines.copy(golden, options="require-sealed=off")
    guest.start(loadvm="boot", paused=True)
    assert guest.attest("boot").claims["require_sealed"] is False


def test_tpm2_checkquote_accepts_the_quote(attested, tmp_path):
    rk_name = report.tpm_name(attested.guest, "rk")
    qualification = report.quote_qualification(attested.claims,
                                               attested.nonce, rk_name)
    assert report.checkquote(attested.claims, attested.ak, qualification,
                             tmp_path)


def test_tpm2_checkquote_refuses_another_nonce_key_or_pcr(attested,
                                                          tmp_path):
    rk_name = report.tpm_name(attested.guest, "rk")
    claims = attested.claims
    other = report.quote_qualification(claims, bytes(32), rk_name)
    assert not report.checkquote(claims, attested.ak, other, tmp_path)
    right = report.quote_qualification(claims, attested.nonce, rk_name)
    assert not report.checkquote(claims, attested.rk, right, tmp_path)
    claims["pcrs"]["values"]["0"] = "11" * 48
    assert not report.checkquote(claims, attested.ak, right, tmp_path)


def test_quote_of_one_request_does_not_fit_another(attested, tmp_path):
    rk_name = report.tpm_name(attested.guest, "rk")
    for name, value in (("op", "verify"), ("asked", "boot"),
                        ("scope", "stored")):
        claims = attested.claims
        claims[name] = value
        wrong = report.quote_qualification(claims, attested.nonce, rk_name)
        assert not report.checkquote(claims, attested.ak, wrong, tmp_path)


def test_pcr_23_is_what_hypervisor_and_configuration_give(attested):
    claims = attested.claims
    value = bytes(48)
    for digest in (bytes.fromhex(claims["hypervisor"]["digest"]),
                   hashlib.sha384(claims["config"].encode()).digest()):
        value = hashlib.sha384(value + digest).digest()
    assert claims["pcrs"]["values"]["23"] == value.hex()
    assert claims["pcrs"]["bank"] == "sha384"
    for number in range(8):
        assert (claims["pcrs"]["values"][str(number)] ==
                attested.guest.tpm.pcr(number))


def test_pcr_23_is_reset_after_the_transaction(attested):
    assert attested.guest.tpm.pcr(23) == "00" * 48


def test_mismatch_report_is_signed_too_and_lists_the_ranges(guest, tmp_path):
    guest.serial.ask("dirty 4")
    answer = guest.attest("boot")
    rk = json.loads(guest.vsm_status()["rk"])
    assert report.jose_verify(answer.report, rk, tmp_path)
    assert answer.claims["result"] == "mismatch"
    assert [finding for finding in answer.claims["findings"]
            if finding["kind"] == "ram" and finding["where"] == "pc.ram"]


# For one recipient only

@pytest.mark.parametrize("curve", ["P-256", "P-384"])
def test_only_the_recipient_opens_the_report(paused, tmp_path, curve):
    private, public = report.jose_new_key(tmp_path, curve=curve)
    stranger, _ = report.jose_new_key(tmp_path, "stranger", curve)
    answer = paused.attest("boot", recipient=json.dumps(public))
    assert answer.verdict is None
    assert len(answer.report.split(".")) == 5
    assert "match" not in json.dumps(answer.raw)
    inner = report.jose_decrypt(answer.report, private, tmp_path)
    assert inner is not None
    rk = json.loads(paused.vsm_status()["rk"])
    assert report.jose_verify(inner, rk, tmp_path)
    claims = json.loads((tmp_path / "claims.json").read_text())
    assert claims["result"] == "match"
    assert report.jose_decrypt(answer.report, stranger, tmp_path) is None


def test_quote_binds_the_recipient(paused, tmp_path):
    private, public = report.jose_new_key(tmp_path)
    answer = paused.attest("boot", recipient=json.dumps(public))
    inner = report.jose_decrypt(answer.report, private, tmp_path)
    claims = json.loads(unb64url(inner.split(".")[1]))
    ak = json.loads(paused.vsm_status()["ak"])
    rk_name = report.tpm_name(paused, "rk")
    bound = report.quote_qualification(claims, answer.nonce, rk_name,
                                       name_of(public))
    free = report.quote_qualification(claims, answer.nonce, rk_name)
    assert report.checkquote(claims, ak, bound, tmp_path)
    assert not report.checkquote(claims, ak, free, tmp_path)
