"""vsmctl: what it shows, its exit codes, and the check of a report offline.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import shutil

import pytest

from vsmtest import report
from vsmtest.vsm import b64url, unb64url
from vsmtest.vsmctl import (ENCRYPTED, MATCH, MISMATCH, UNTRUSTED, USAGE,
                            vsmctl)


@pytest.fixture
def files(tmp_path):
    """A verifier's folder."""
    return tmp_path


@pytest.fixture
def trusted(off, files):
    """A running machine whose keys the verifier trusts (files/trust)."""
    (files / "trust").write_text(off.keys())
    off.start(loadvm="boot", paused=True)
    return off


def request(guest, files, *argv, name="request", snapshot="tag:boot"):
    """The verifier's request, in a file."""
    text = vsmctl("request", "--vm", guest.config.uuid, "--snapshot",
                  snapshot, *argv, check=MATCH).stdout
    (files / name).write_text(text)
    return files / name


def verify(files, *argv, check, request_file=None, report_file=None):
    """vsmctl verify with the files of this test."""
    return vsmctl("verify", "--trust", files / "trust", "--request",
                  request_file or files / "request", *argv,
                  report_file or files / "report", check=check)


def attest(guest, files, check, *argv):
    return guest.ctl("attest", "--request", request(guest, files, *argv),
                     "--out", files / "report", check=check)


def test_report_of_a_match_is_trusted(trusted, files):
    attest(trusted, files, MATCH)
    text = verify(files, check=MATCH).stdout
    assert "match" in text
    assert "disks not covered" in text


def test_report_of_a_mismatch_is_trusted_and_says_so(trusted, files):
    trusted.cont()
    trusted.serial.ask("dirty 4")
    attest(trusted, files, MISMATCH)
    assert "mismatch" in verify(files, check=MISMATCH).stdout


def test_mismatch_as_the_cmos_clock_makes_it_has_a_hint(trusted):
    """Interrupt controllers alone: "-rtc clock=vm" may be the remedy."""
    trusted.hmp("o /b 0x21 0xaa")       # the interrupt mask
    done = trusted.ctl("attest", "tag:boot", check=MISMATCH)
    assert "i8259/" in done.stdout
    assert "clock=vm" in done.stdout and "track='guest'" in done.stdout
    trusted.hmp("o /b 0x3ff 0x5a")      # scratch register of COM1
    done = trusted.ctl("attest", "tag:boot", check=MISMATCH)
    assert "i8259/" in done.stdout and "serial" in done.stdout
    assert "hint" not in done.stdout and "clock=vm" not in done.stdout


def test_report_of_a_stored_snapshot(trusted, files):
    path = request(trusted, files, "--op", "verify")
    trusted.ctl("verify-snapshot", "--request", path, "--out",
                files / "report", check=MATCH)
    verify(files, check=MATCH)
    image = trusted.image
    image.flip("boot", image.ram_page("boot"))
    path = request(trusted, files, "--op", "verify")
    trusted.ctl("verify-snapshot", "--request", path, "--out",
                files / "report", check=MISMATCH)
    verify(files, check=MISMATCH)


def test_report_of_a_rollback(trusted, files):
    path = request(trusted, files, "--op", "rollback")
    trusted.ctl("rollback", "--request", path, "--out", files / "report",
                check=MATCH)
    verify(files, check=MATCH)


def test_encrypted_report_opens_with_the_private_key_only(trusted, files):
    private, public = report.jose_new_key(files)
    stranger, _ = report.jose_new_key(files, "stranger")
    (files / "public.jwk").write_text(json.dumps(public))
    attest(trusted, files, ENCRYPTED, "--recipient", files / "public.jwk")
    verify(files, "--key", private, check=MATCH)
    for argv in (["--key", stranger], []):
        verify(files, *argv, check=UNTRUSTED)


def test_report_that_answers_another_request_is_refused(trusted, files):
    attest(trusted, files, MATCH)
    for number, argv in enumerate(([], ["--op", "rollback"],
                                   ["--scope", "stored", "--op", "verify"])):
        other = request(trusted, files, *argv, name=f"other{number}")
        verify(files, check=UNTRUSTED, request_file=other)
    other = request(trusted, files, name="elsewhere", snapshot="tag:good")
    verify(files, check=UNTRUSTED, request_file=other)


def test_report_without_a_request_needs_expectations(trusted, files):
    attest(trusted, files, MATCH)
    sent = json.loads((files / "request").read_text())
    bare = ("verify", "--trust", files / "trust", files / "report")
    assert vsmctl(*bare).returncode in (UNTRUSTED, USAGE)
    vsmctl(*bare, "--nonce", sent["nonce"], "--vm", trusted.config.uuid,
           "--snapshot", "tag:boot", "--op", "attest", "--scope", "full",
           check=MATCH)


def test_forged_reports_are_refused(trusted, files):
    attest(trusted, files, MATCH)
    text = (files / "report").read_text().strip()
    head, body, signature = text.split(".")
    claims = unb64url(body)
    forgeries = {
        "claims": ".".join((head, b64url(claims.replace(
            b'"match"', b'"mismatch"')), signature)),
        "signature": ".".join((head, body, "A" + signature[1:]
                               if signature[0] != "A"
                               else "B" + signature[1:])),
        "header": ".".join((b64url(b'{"alg":"none"}'), body, "")),
        "cut": text[:len(text) // 2],
        "empty": "",
    }
    for name, forged in forgeries.items():
        (files / name).write_text(forged)
        done = verify(files, check=None, report_file=files / name)
        assert done.returncode in (UNTRUSTED, USAGE), name


def test_keys_of_an_unknown_host_are_not_trusted(machines, trusted, files):
    attest(trusted, files, MATCH)
    other = machines.new().create()
    shutil.move(files / "trust", files / "right")
    (files / "trust").write_text(other.keys())
    verify(files, check=UNTRUSTED)


@pytest.mark.in_process("keys of that kind")
def test_keys_in_process_are_refused_unless_allowed(machines, golden, files):
    guest = machines.copy(golden).create()
    (files / "trust").write_text(guest.ctl_host("keys").stdout)
    guest.start(loadvm="boot", paused=True)
    attest(guest, files, MATCH)
    done = verify(files, check=UNTRUSTED)
    assert "process" in done.stderr + done.stdout


@pytest.mark.in_process("vsmd sets up at its start")
def test_setup_makes_what_is_absent_and_may_be_repeated(machines):
    guest = machines.new().create()
    guest.ctl_host("setup")
    secret = guest.secret.read_bytes()
    guest.ctl_host("setup")
    assert guest.secret.read_bytes() == secret
    guest.start(boot=False)
    assert guest.vsm_snapshots() == []


def test_snapshot_list_show_delete(guest):
    guest.ctl("snapshot", "one", check=MATCH)
    assert guest.vsm_tags() == ["boot", "one"]
    text = guest.ctl("list", check=MATCH).stdout
    assert "boot" in text and "one" in text
    listed = json.loads(guest.ctl("list", "--json", check=MATCH).stdout)
    assert [entry["tag"] for entry in listed] == ["boot", "one"]
    snapshot = guest.vsm_snapshot("one")["id"]
    assert snapshot in guest.ctl("show", "one", check=MATCH).stdout
    assert guest.ctl("snapshot", "one").returncode == USAGE
    guest.ctl("snapshot", "--replace", "one", check=MATCH)
    assert guest.vsm_snapshot("one")["id"] != snapshot
    guest.ctl("delete", "one", check=MATCH)
    assert guest.vsm_tags() == guest.qcow2_tags() == ["boot"]
    assert guest.serial.ask("memget") == "golden"


def test_status_is_readable_and_json(guest):
    assert guest.config.uuid in guest.ctl("status", check=MATCH).stdout
    status = json.loads(guest.ctl("status", "--json", check=MATCH).stdout)
    assert status["uuid"] == guest.config.uuid


def ctl_json(guest, *argv, code=MATCH):
    """The one JSON value that is all of the standard output."""
    done = guest.ctl(*argv, "--json", check=code)
    return json.loads(done.stdout)


def test_json_is_one_value_for_each_command(off):
    keys = json.loads(off.ctl_host("keys", "--json").stdout)
    assert [entry["boot_policy"] for entry in keys["hosts"]] == ["frozen"]
    off.start(loadvm="boot", paused=True)
    for command in ("attest", "verify-snapshot", "rollback"):
        answer = ctl_json(off, command, "tag:boot")
        assert answer["verdict"]["result"] == "match"
        assert answer["report"].count(".") == 2
    made = ctl_json(off, "snapshot", "one")
    assert made["tag"] == "one"
    assert ctl_json(off, "show", "one") == made
    assert ctl_json(off, "delete", "one") == made
    assert [entry["tag"] for entry in ctl_json(off, "list")] == ["boot"]
    failed = ctl_json(off, "show", "one", code=USAGE)
    assert failed["error"] == "not-found" and "vsmctl list" in failed["message"]


def test_json_of_a_changed_vm_and_of_a_damaged_snapshot(guest):
    guest.serial.ask("dirty 4")
    answer = ctl_json(guest, "attest", "boot", code=MISMATCH)
    assert answer["verdict"]["result"] == "mismatch"
    image = guest.image
    image.flip("boot", image.ram_page("boot"))
    answer = ctl_json(guest, "verify-snapshot", "boot", code=MISMATCH)
    assert answer["verdict"]["result"] == "mismatch"
    refused = ctl_json(guest, "rollback", "boot", code=UNTRUSTED)
    assert refused["error"] == "tampered"
    assert "first difference at byte" in refused["message"]
    assert guest.status() == "running"


def test_refusal_and_damage_have_their_exit_code(guest):
    image = guest.image
    image.flip("boot", image.ram_page("boot"))
    done = guest.ctl("rollback", "boot", check=UNTRUSTED)
    assert "first difference at byte" in done.stderr
    assert guest.status() == "running"
    guest.tpm.extend({1: b"\xee" * 48})
    done = guest.ctl("attest", "boot", check=UNTRUSTED)
    assert "PCR 1" in done.stderr


def test_usage_and_connection_errors_have_their_exit_code(guest):
    guest.ctl("attest", "nosuch", check=USAGE)
    guest.ctl("attest", "--nonsense", "boot", check=USAGE)
    vsmctl("list", "--qmp", guest.home / "nosuch", check=USAGE)
    vsmctl("nosuch", check=USAGE)
