"""Updates of the host: the operator approves boot states and reseals.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import os
import pathlib
import subprocess

import pytest

from vsmtest import wait
from vsmtest.host import Host
from vsmtest.machines import Machines
from vsmtest.paths import run, vsmctl as vsmctl_path
from vsmtest.vsm import Refused, unb64url
from vsmtest.vsmctl import MISMATCH, UNTRUSTED, USAGE, vsmctl

UPDATE = {4: b"\xee" * 48}


def new_key(folder, name="operator", curve="prime256v1"):
    """An operator's key pair: (private, public) PEM files."""
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    run(["openssl", "ecparam", "-name", curve, "-genkey", "-noout", "-out",
         private])
    run(["openssl", "ec", "-in", private, "-pubout", "-out", public])
    return private, public


@pytest.fixture(scope="module")
def operator(tmp_path_factory):
    return new_key(tmp_path_factory.mktemp("operator"))


def of_operator(machines, public):
    """A machine, off, of a host that was set up with an operator's key."""
    guest = machines.new()
    if guest.daemon:
        guest.config.options = f"operator-key={public}"
    guest.create()
    if not guest.daemon:
        guest.ctl_host("setup", "--operator-key", public)
    return guest


def with_snapshot(machines, key, public):
    """A machine of a host with an operator, off, with the snapshot "one"."""
    guest = of_operator(machines, public)
    guest.ctl_host("policy", "approve", "--current", "--key", key)
    guest.start()
    guest.serial.ask("mem golden")
    guest.snapshot_save("one")
    guest.quit()
    return guest


@pytest.fixture(scope="module")
def sealed_machine(attester, operator):
    del attester    # one in each mode
    made = Machines()
    guest = with_snapshot(made, *operator)
    guest.halt()
    yield guest
    made.end()


@pytest.fixture
def sealed(machines, sealed_machine):
    return machines.copy(sealed_machine).create()


@pytest.mark.in_process("starts a daemon of its own")
def test_each_step_of_an_approval_is_told_in_json(operator, tmp_path):
    private, public = operator
    request, signature = tmp_path / "request", tmp_path / "signature"
    host = Host(f"--operator-key={public}")

    def step(*argv):
        return json.loads(host.daemon.ctl("policy", *argv, "--json",
                                          check=0).stdout)

    try:
        assert step("approve", "--begin", request) == {
            "done": False, "request": str(request)}
        signed = json.loads(vsmctl(
            "policy", "sign", request, signature, "--key", private, "--json",
            check=0).stdout)
        assert signed["signature"] == str(signature)
        assert {"what": "operation", "value": "approve"} in signed["request"]
        assert step("approve", "--finish", signature) == {"done": True}
        assert step("show")["boot_approved"]
    finally:
        host.end()


def refused(guest, code):
    """Attests "one", expects the refusal and that the guest never stopped."""
    guest.qmp.events.clear()
    with pytest.raises(Refused) as caught:
        guest.attest("one")
    assert caught.value.code == code, caught.value.text
    assert guest.qmp.seen("STOP") == []
    return caught.value.text


def assert_match(guest, **changes):
    """The snapshot loads and attests on a machine that is off."""
    guest.start(loadvm="one", paused=True)
    answer = guest.attest("one")
    assert answer.result == "match", answer.findings
    assert answer.claims["boot_policy"] == "operator"
    guest.cont()
    assert guest.serial.ask("memget") == "golden"
    guest.quit()
    return answer


def test_update_is_refused_approved_and_matches(sealed, operator):
    private, _ = operator
    assert_match(sealed)
    sealed.tpm.extend(UPDATE)
    sealed.start(boot=False)
    text = refused(sealed, "boot")
    assert "PCR 4 (sha384): was " in text
    assert "vsmctl policy approve --current" in text
    sealed.quit()
    diff = sealed.ctl_host("policy", "diff", check=MISMATCH).stdout
    assert sealed.tpm.pcr(4) in diff
    assert diff.count("same") == 7
    sealed.ctl_host("policy", "approve", "--current", "--key", private)
    sealed.ctl_host("policy", "diff", check=0)
    answer = assert_match(sealed)
    assert answer.claims["pcrs"]["values"]["4"] == sealed.tpm.pcr(4)


def approve_elsewhere(guest, sign):
    """--begin and --finish: a request goes out, a signature comes in."""
    request, signature = guest.home / "request", guest.home / "signature"
    for path in (request, signature):
        path.unlink(missing_ok=True)
    where = ["--tcti", guest.tpm.tcti, "--state-dir", guest.state_dir,
             "--secret", guest.secret]
    if guest.daemon:
        guest.start_daemon()
        where = [f"--daemon={guest.daemon.admin}"]
    argv = [vsmctl_path(), "policy", "approve", *where, "--begin",
            request, "--finish", signature, "--wait", "30"]
    with subprocess.Popen([str(word) for word in argv],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as waiting:
        try:
            wait.until("the request", request.exists, timeout=20)
            sign(request, signature)
            out, err = waiting.communicate(timeout=40)
        finally:
            waiting.kill()
    return waiting.returncode, out + err


def test_key_that_never_touches_the_host(sealed, operator):
    private, _ = operator

    def with_vsmctl(request, signature):
        done = vsmctl("policy", "sign", "--key", private, request, signature,
                      check=0)
        assert sealed.tpm.pcr(4) in done.stdout

    def with_openssl(request, signature):
        run(["openssl", "dgst", "-sha256", "-sign", private, "-out",
             f"{signature}.tmp", f"{request}.tosign"])
        os.rename(f"{signature}.tmp", signature)

    for sign in (with_vsmctl, with_openssl):
        sealed.tpm.extend(UPDATE)
        code, text = approve_elsewhere(sealed, sign)
        assert code == 0, text
        assert_match(sealed)


@pytest.mark.daemon_only
def test_approval_in_two_commands_while_the_vm_runs(sealed, operator,
                                                    tmp_path):
    private, _ = operator
    request, signature = tmp_path / "request", tmp_path / "signature"
    sealed.start(boot=False)
    sealed.tpm.extend(UPDATE)
    refused(sealed, "boot")
    sealed.ctl_host("policy", "approve", "--begin", request)
    refused(sealed, "boot")
    vsmctl("policy", "sign", "--key", private, request, signature, check=0)
    sealed.ctl_host("policy", "approve", "--finish", signature)
    assert sealed.attest("one").result == "mismatch"    # it ran: not refused
    sealed.ctl_host("policy", "approve", "--finish", signature,
                    check=UNTRUSTED)
    sealed.quit()
    assert_match(sealed)


def test_old_approval_is_refused(sealed, operator):
    """An approval that was used, and one of an older state."""
    private, _ = operator
    kept = sealed.home / "kept"

    def sign_and_keep(request, signature):
        vsmctl("policy", "sign", "--key", private, request, signature,
               check=0)
        kept.write_bytes(signature.read_bytes())

    def replay(request, signature):
        assert request.exists()
        signature.write_bytes(kept.read_bytes())

    assert approve_elsewhere(sealed, sign_and_keep)[0] == 0
    sealed.tpm.extend(UPDATE)
    code, text = approve_elsewhere(sealed, replay)
    assert code == UNTRUSTED
    assert "not the signature of this host's operator" in text
    sealed.start(boot=False)
    refused(sealed, "boot")


def test_key_of_somebody_else_is_refused(sealed, tmp_path):
    private, _ = new_key(tmp_path, "other")
    done = sealed.ctl_host("policy", "approve", "--key", private,
                           check=UNTRUSTED)
    assert "not the signature of this host's operator" in done.stderr


def test_kept_state_serves_after_a_step_back(sealed, operator):
    private, _ = operator
    sealed.tpm.extend(UPDATE)
    sealed.ctl_host("policy", "approve", "--keep", 1, "--key", private)
    assert_match(sealed)
    shown = json.loads(sealed.ctl_host("policy", "show", "--json").stdout)
    assert shown["boot_approved"] and len(shown["approved"]) == 2
    sealed.tpm.stop()
    sealed.tpm.start()          # the host boots its old kernel
    assert_match(sealed)
    sealed.ctl_host("policy", "revoke", 2, "--key", private)
    sealed.start(boot=False)
    refused(sealed, "boot")


def test_states_of_another_machine_are_approved_before_the_update(
        sealed, operator, tmp_path):
    private, _ = operator
    shown = json.loads(sealed.ctl_host("policy", "show", "--json").stdout)
    sealed.tpm.extend(UPDATE)
    coming = sealed.ctl_host("policy", "show", "--json").stdout
    (tmp_path / "coming").write_text(coming)
    sealed.tpm.stop()
    sealed.tpm.start()
    sealed.ctl_host("policy", "approve", "--states", tmp_path / "coming",
                    "--keep", 1, "--key", private)
    assert json.loads(sealed.ctl_host("policy", "show", "--json").stdout)[
        "current"] == shown["current"]
    assert_match(sealed)
    sealed.tpm.extend(UPDATE)
    assert_match(sealed)


def test_frozen_host_says_so(off, operator):
    private, _ = operator
    for argv in (["policy", "approve", "--key", private],
                 ["policy", "revoke", "all", "--key", private]):
        done = off.ctl_host(*argv, check=USAGE)
        assert "frozen" in done.stderr


@pytest.fixture
def other_qemu(sealed):
    """Another build of the same QEMU, beside the genuine one."""
    genuine = pathlib.Path(sealed.argv()[0])
    other = genuine.with_name(f"qemu-system-x86_64-{os.getpid()}")
    other.write_bytes(genuine.read_bytes() + b"\0")
    other.chmod(0o755)
    yield str(other)
    other.unlink()


def identity(guest, **changes):
    """What the VM is under its new QEMU or configuration."""
    path = guest.home / "identity.json"
    path.write_text(guest.ctl("status", "--json", check=0).stdout)
    return path


def test_new_qemu_is_refused_resealed_and_matches(machines, sealed, operator,
                                                  other_qemu, tmp_path):
    private, public = operator
    guest = machines.copy(sealed, qemu=other_qemu).create()
    guest.start(boot=False)
    refused(guest, "hypervisor")
    new = identity(guest)
    guest.quit()
    guest.ctl_host("reseal", "--identity", new, "--key", private)
    answer = assert_match(guest)
    resealed = answer.claims["resealed"]
    (tmp_path / "request").write_bytes(unb64url(resealed["request"]))
    (tmp_path / "signature").write_bytes(unb64url(resealed["signature"]))
    run(["openssl", "dgst", "-sha256", "-verify", public, "-signature",
         tmp_path / "signature", tmp_path / "request"])
    # and the QEMU of before is now the other one
    guest.config.qemu = ""
    guest.start(boot=False)
    refused(guest, "hypervisor")


def reseal_for_new_configuration(machines, guest, key):
    """Another kernel command line: refused, resealed, a match."""
    guest = machines.copy(guest, kernel_line="console=ttyS0 quiet").create()
    guest.start(boot=False)
    refused(guest, "config")
    new = identity(guest)
    guest.quit()
    guest.ctl_host("reseal", "--identity", new, "tag:one", "--key", key)
    assert_match(guest)


def test_new_configuration_is_resealed(machines, sealed, operator):
    reseal_for_new_configuration(machines, sealed, operator[0])


def test_reseal_needs_the_operator(machines, sealed, other_qemu, tmp_path):
    private, _ = new_key(tmp_path, "other")
    guest = machines.copy(sealed, qemu=other_qemu).create()
    guest.start(boot=False)
    new = identity(guest)
    guest.quit()
    done = guest.ctl_host("reseal", "--identity", new, "--key", private,
                          check=UNTRUSTED)
    assert "not the signature of this host's operator" in done.stderr
    guest.start(boot=False)
    refused(guest, "hypervisor")


@pytest.fixture
def token(tmp_path, monkeypatch):
    """A PKCS #11 token with a P-256 key: (URI, public PEM)."""
    module = "/usr/lib/softhsm/libsofthsm2.so"
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(
        f"directories.tokendir = {tmp_path / 'tokens'}\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm2.conf"))
    monkeypatch.setenv("PKCS11_MODULE_PATH", module)
    monkeypatch.setenv("PKCS11_PROVIDER_MODULE", module)
    private, public = new_key(tmp_path, "token")
    run(["openssl", "pkcs8", "-topk8", "-nocrypt", "-in", private, "-out",
         tmp_path / "token.p8"])
    run(["softhsm2-util", "--init-token", "--free", "--label", "vsm",
         "--pin", "1234", "--so-pin", "1234"])
    run(["softhsm2-util", "--import", tmp_path / "token.p8", "--token",
         "vsm", "--label", "operator", "--id", "01", "--pin", "1234"])
    private.unlink()
    return "pkcs11:token=vsm;object=operator?pin-value=1234", public


def test_operator_key_in_a_pkcs11_token(machines, token):
    uri, public = token
    guest = with_snapshot(machines, uri, public)
    for wrong in (uri.replace("object=operator", "object=nobody"),
                  uri.replace("1234", "4321")):
        done = guest.ctl_host("policy", "approve", "--key", wrong, check=USAGE)
        assert "no such private key in a PKCS #11 token" in done.stderr
    reseal_for_new_configuration(machines, guest, uri)
