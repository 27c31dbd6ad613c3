"""Enrolment with vsmctl, from the TPM's certificate to a trusted report.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import subprocess

import pytest

from vsmtest import paths
from vsmtest.maker import Maker
from vsmtest.vsmctl import MATCH, UNTRUSTED, USAGE, vsmctl


@pytest.fixture(scope="module")
def maker(tmp_path_factory):
    return Maker(tmp_path_factory.mktemp("maker"))


@pytest.fixture
def host(machines, maker):
    """A machine that is off, on a TPM of that maker; nothing set up."""
    guest = machines.new()
    maker.manufacture(guest.tpm)
    return guest.create()


class Verifier:
    """Files of the verifier, and its two steps."""

    def __init__(self, home, maker):
        self.home = home
        self.maker = maker
        self.trust = home / "trust.json"
        self.state = home / "state"

    def challenge(self, *argv, check=MATCH, flag="--allow-in-process"):
        argv = (flag,) + argv if flag else argv
        return vsmctl("enroll", "challenge", "--ek-ca", self.maker.bundle,
                      "--state", self.state, "-o", self.home / "challenge",
                      *argv, self.home / "request", check=check)

    def accept(self, *argv, check=MATCH):
        return vsmctl("enroll", "accept", "--state", self.state, "--trust",
                      self.trust, "--jwks", self.home / "keys.jwks", *argv,
                      self.home / "response", check=check)

    def verify(self, report, request, *argv, check=MATCH):
        return vsmctl("verify", "--trust", self.trust, "--request", request,
                      *argv, report, check=check)


@pytest.fixture
def verifier(tmp_path, maker):
    return Verifier(tmp_path, maker)


def ask(host, verifier, *argv):
    host.ctl_host("enroll", "request", "-o", verifier.home / "request",
                  *argv)


def answer(host, verifier, check=MATCH):
    return host.ctl_host("enroll", "respond", "-o",
                         verifier.home / "response",
                         verifier.home / "challenge", check=check)


def enroll(host, verifier, *argv):
    """The whole way."""
    ask(host, verifier)
    verifier.challenge()
    answer(host, verifier)
    return verifier.accept(*argv)


def attest(host, verifier, snapshot="tag:boot"):
    """A report on a running machine: (report, request), in files."""
    request = verifier.home / "ask.json"
    request.write_text(vsmctl("request", "--vm", host.config.uuid,
                              "--snapshot", snapshot, check=MATCH).stdout)
    report = verifier.home / "report.jws"
    host.ctl("attest", "--request", request, "--out", report, check=MATCH)
    return report, request


def run_and_save(host, tag):
    """
    Starts the machine and leaves it paused in that snapshot, which has its
    firmware at work: a state like any other.
    """
    host.start(boot=False)
    host.snapshot_save(tag)
    host.restart(loadvm=tag, paused=True)


def test_report_of_an_enrolled_host_is_trusted(host, verifier):
    enroll(host, verifier)
    run_and_save(host, "boot")
    report, request = attest(host, verifier)
    text = verifier.verify(report, request).stdout
    assert "match" in text
    # jose takes a line end for a part of the signature
    claims = paths.run(["jose", "jws", "ver", "-i-", "-k",
                        str(verifier.home / "keys.jwks"), "-O-"],
                       input=report.read_text().strip()).stdout
    assert json.loads(claims)["result"] == "match"


def test_new_boot_state_is_approved_from_a_fresh_report(host, verifier):
    enroll(host, verifier)
    host.halt()
    host.tpm.boot[4] = b"\x99" * 48
    run_and_save(host, "after")
    report, request = attest(host, verifier, "tag:after")
    verifier.verify(report, request, check=UNTRUSTED)
    vsmctl("trust", "update", "--trust", verifier.trust, "--report", report,
           "--request", request, check=MATCH)
    verifier.verify(report, request)


@pytest.mark.in_process("a daemon is asked while VMs run")
def test_running_vm_keeps_the_store_to_itself(host, verifier):
    host.start(paused=True)
    done = host.ctl_host("enroll", "request", check=USAGE)
    assert "another process" in done.stderr or "in use" in done.stderr


@pytest.mark.parametrize("kind", ["rsa-2048", "p-384"])
def test_each_kind_of_endorsement_key_enrols(host, verifier, kind):
    ask(host, verifier, "--ek", kind)
    verifier.challenge()
    answer(host, verifier)
    entry = json.loads(verifier.accept("--json").stdout)
    keys = json.loads((verifier.home / "keys.jwks").read_text())["keys"]
    assert keys[0]["x"] == entry["rk_jwk"]["x"]
    trust = json.loads(verifier.trust.read_text())
    assert [host["host_id"] for host in trust["hosts"]] == [entry["host_id"]]


def test_verifiers_secret_is_its_own_and_serves_once(host, verifier):
    ask(host, verifier)
    verifier.challenge()
    assert verifier.state.stat().st_mode & 0o777 == 0o600
    done = verifier.challenge(check=USAGE)
    assert "state" in done.stderr
    answer(host, verifier)
    verifier.accept()
    assert not list(verifier.home.glob("state*"))
    verifier.trust.unlink()
    done = verifier.accept(check=UNTRUSTED)
    assert "once" in done.stderr
    assert not verifier.trust.exists()


def test_of_two_acceptances_at_once_one_succeeds(host, verifier):
    ask(host, verifier)
    verifier.challenge()
    answer(host, verifier)
    argv = [paths.vsmctl(), "enroll", "accept", "--state", verifier.state,
            "--trust", verifier.trust, verifier.home / "response"]
    running = [subprocess.Popen(argv, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL) for _ in range(6)]
    codes = sorted(process.wait(60) for process in running)
    assert codes == [MATCH] + [UNTRUSTED] * 5


def test_wrong_answer_uses_the_challenge_up(host, verifier):
    ask(host, verifier)
    verifier.challenge()
    answer(host, verifier)
    path = verifier.home / "response"
    sound = path.read_text()
    altered = json.loads(sound)
    altered["hmac"] = "0" * 96
    path.write_text(json.dumps(altered))
    done = verifier.accept(check=UNTRUSTED)
    assert "used up" in done.stderr
    assert not verifier.trust.exists()
    path.write_text(sound)
    verifier.accept(check=UNTRUSTED)


@pytest.mark.in_process("its keys are what it is about")
def test_keys_in_process_need_the_verifiers_word(host, verifier):
    ask(host, verifier)
    done = verifier.challenge(flag=None, check=UNTRUSTED)
    assert "--allow-in-process" in done.stderr
    assert not verifier.state.exists()


@pytest.mark.daemon_only
def test_keys_of_the_daemon_need_no_exception(host, verifier):
    host.start(boot=False)
    ask(host, verifier)
    verifier.challenge(flag=None)
    answer(host, verifier)
    entry = json.loads(verifier.accept("--json").stdout)
    assert entry["attester"] == "daemon"
    assert "allow_in_process" not in entry


def test_another_maker_is_not_trusted(host, verifier, tmp_path):
    other = Maker(tmp_path / "other")
    stranger = type(host.tpm)(tmp_path / "stranger")
    other.manufacture(stranger)
    ask(host, verifier)
    verifier.maker = other
    done = verifier.challenge(check=UNTRUSTED)
    assert "none that is trusted" in done.stderr


def test_answer_of_another_host_is_refused(host, verifier, machines, maker):
    other = machines.new()
    maker.manufacture(other.tpm)
    other.create()
    ask(host, verifier)
    verifier.challenge()
    answer(other, verifier, check=USAGE)


def test_garbage_is_refused_at_each_step(host, verifier):
    for text, code in (("garbage", UNTRUSTED), ("[]", UNTRUSTED),
                       ("{}", UNTRUSTED), (" " * 100000, USAGE)):
        for name in ("request", "challenge", "response"):
            (verifier.home / name).write_text(text)
        verifier.challenge(check=code)
        answer(host, verifier, check=code)
    ask(host, verifier)
    verifier.challenge()
    (verifier.home / "response").write_text("garbage")
    verifier.accept(check=UNTRUSTED)


def test_evidence_of_a_snapshot_is_trusted_offline(host, verifier):
    enroll(host, verifier)
    host.start(boot=False)
    host.snapshot_save("boot")
    host.quit()
    path = verifier.home / "evidence.json"
    path.write_text(host.ctl_host("show", "--evidence", "--vm",
                                  host.config.uuid, "tag:boot").stdout)
    done = vsmctl("verify", "--snapshot-evidence", "--trust", verifier.trust,
                  "--vm", host.config.uuid, "--snapshot", "tag:boot", path,
                  check=MATCH)
    assert "attestation key" in done.stdout
    vsmctl("verify", "--snapshot-evidence", "--trust", verifier.trust,
           "--snapshot", "tag:other", path, check=UNTRUSTED)
    altered = json.loads(path.read_text())
    altered["catalogue"] = "0" * 96
    path.write_text(json.dumps(altered))
    vsmctl("verify", "--snapshot-evidence", "--trust", verifier.trust, path,
           check=UNTRUSTED)
