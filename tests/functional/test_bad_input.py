"""Bad input gets a clear error and leaves everything else intact.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import re
import shutil

import pytest

from vsmtest import paths, wait
from vsmtest.guest import Exited
from vsmtest.intact import intact, same_disks, save_other
from vsmtest.proxy import NV_EXTEND
from vsmtest.qmp import QmpError
from vsmtest.store import flip, record_folder, unwritable
from vsmtest.vsm import Refused, b64url
from vsmtest.vsmctl import USAGE

pytestmark = pytest.mark.full_with_daemon(
    "checked in QEMU or by the store, which is the same")


# Requests

# Each says where the snapshots are listed
LISTS = "(query-vsm-snapshots lists|list the snapshots to see which there are)"


@pytest.mark.parametrize("command",
                         ["vsm-attest", "vsm-verify", "vsm-rollback"])
def test_unknown_snapshot(lasting, command):
    with same_disks(lasting), \
            pytest.raises(Refused, match=f"nosuch.*{LISTS}") as caught:
        lasting.finish_vsm(*lasting.start_vsm(command, "nosuch"))
    assert caught.value.code == "not-found"
    intact(lasting)


@pytest.mark.parametrize("command", ["loadvm", "snapshot_load"])
def test_unknown_snapshot_in_ordinary_commands(lasting, command):
    with same_disks(lasting), \
            pytest.raises(QmpError, match=f"nosuch.*{LISTS}"):
        getattr(lasting, command)("nosuch")
    assert lasting.qmp.event("VSM_REFUSED")["code"] == "not-found"
    intact(lasting)


@pytest.mark.parametrize("command", ["delvm", "snapshot_delete"])
def test_deleting_an_unknown_snapshot_deletes_nothing(lasting, command):
    """As in stock QEMU that is no error: there is none of that name."""
    with same_disks(lasting):
        getattr(lasting, command)("nosuch")
    assert lasting.qcow2_tags() == ["boot"]
    intact(lasting)


@pytest.mark.parametrize("subcommand", ["attest", "verify-snapshot",
                                        "rollback", "show", "delete"])
def test_unknown_snapshot_in_vsmctl(lasting, subcommand):
    with same_disks(lasting):
        done = lasting.ctl(subcommand, "nosuch", check=USAGE)
    assert re.search("nosuch.*(list the snapshots|'vsmctl list' shows all)",
                     done.stderr)
    intact(lasting)


def test_loadvm_option_with_an_unknown_snapshot_ends_qemu(off):
    with same_disks(off), pytest.raises(Exited, match=f"nosuch.*{LISTS}"):
        off.start(loadvm="nosuch")
    off.start(loadvm="boot")
    intact(off)


@pytest.mark.parametrize("nonce", ["", "AAAA", b64url(bytes(7)),
                                   b64url(bytes(65)), "not base64url!",
                                   "AAECAwQFBgcICQoLDA0ODw=="])
def test_bad_nonce_is_refused_at_once(lasting, nonce):
    for command in ("vsm-attest", "vsm-verify", "vsm-rollback"):
        arguments = {"job_id": "j", "snapshot": "boot", "nonce": nonce}
        if command == "vsm-attest":
            arguments["scope"] = "full"
        with pytest.raises(QmpError, match="'nonce' must be 8 to 64 bytes in "
                                           "base64url without padding"):
            lasting.qmp.command(command, **arguments)
    assert lasting.qmp.job("j") is None
    intact(lasting)


def test_shortest_and_longest_nonce_are_accepted(paused):
    assert paused.attest("boot", nonce=bytes(8)).result == "match"
    assert paused.attest("boot", nonce=bytes(64)).result == "match"


@pytest.mark.parametrize("recipient", [
    "{}", "no json", '{"kty":"RSA","n":"AQAB","e":"AQAB"}',
    '{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}',
    '{"kty":"EC","crv":"secp256k1","x":"AAAA","y":"AAAA"}',
])
def test_bad_recipient_is_refused(lasting_paused, recipient):
    with pytest.raises(QmpError, match="(?i)recipient|key|jwk"):
        lasting_paused.attest("boot", recipient=recipient)
    assert lasting_paused.attest("boot").result == "match"


def test_tag_of_32_hex_digits_is_refused_at_save(lasting):
    with same_disks(lasting), pytest.raises(QmpError, match="hex"):
        lasting.savevm("0123456789abcdef0123456789abcdef")
    intact(lasting)


def test_tag_that_equals_anothers_qcow2_id(guest):
    """Snapshot "1" is not the one whose id on the disk is 1."""
    boot_id = guest.image.entry("boot").id
    guest.serial.ask("mem other")
    guest.savevm(boot_id)
    guest.serial.ask("mem later")
    guest.loadvm(boot_id)
    assert guest.serial.ask("memget") == "other"
    guest.loadvm("boot")
    assert guest.serial.ask("memget") == "golden"
    assert guest.rollback(f"tag:{boot_id}").result == "match"
    assert guest.serial.ask("memget") == "other"
    guest.delvm(boot_id)
    assert guest.vsm_tags() == ["boot"]
    guest.loadvm("boot")
    assert guest.serial.ask("memget") == "golden"


def test_unsafe_capability_is_refused(lasting):
    """zero-copy-send goes with multifd only, which is refused first."""
    def switch(name, state):
        lasting.qmp.command("migrate-set-capabilities", capabilities=[
            {"capability": name, "state": state}])

    refused = set()
    for name in ("multifd", "mapped-ram", "x-ignore-shared",
                 "background-snapshot", "xbzrle", "release-ram", "x-colo",
                 "postcopy-ram"):
        try:
            switch(name, True)
        except QmpError as error:
            assert "ot supported" in error.text or \
                "compiled without" in error.text
            continue
        with same_disks(lasting), \
                pytest.raises(QmpError,
                              match=f"'{name}' is set.*switch it off"):
            lasting.savevm("one")
        assert lasting.qmp.event("VSM_REFUSED")["code"] == "unsupported"
        if name in ("multifd", "mapped-ram", "x-ignore-shared"):
            with pytest.raises(QmpError, match=f"'{name}' is set.*loaded"):
                lasting.loadvm("boot")
            assert not lasting.qmp.event("VSM_REFUSED")["vm-changed"]
        switch(name, False)
        refused.add(name)
    # the others depend on the host's kernel, and on how QEMU was built
    assert refused >= {"multifd", "mapped-ram", "x-ignore-shared", "xbzrle",
                       "release-ram", "postcopy-ram"}
    intact(lasting)


def test_each_operation_is_refused_while_a_migration_runs(guest):
    def status():
        return guest.qmp.command("query-migrate")["status"]

    guest.qmp.command("migrate-set-parameters", max_bandwidth=65536)
    guest.qmp.command("migrate", uri="exec:cat >/dev/null")
    wait.until("the migration runs", lambda: status() == "active")
    with same_disks(guest), \
            pytest.raises(QmpError, match="A migration is running.*after it"):
        guest.savevm("one")
    assert guest.qmp.event("VSM_REFUSED")["code"] == "busy"
    with pytest.raises(Refused, match="migration") as caught:
        guest.attest("boot")
    assert caught.value.code == "busy"
    for load in (guest.loadvm, guest.snapshot_load):
        with pytest.raises(QmpError, match="migration.*after it.*cancel"):
            load("boot")
        assert guest.qmp.event("VSM_REFUSED")["code"] == "busy"
    with pytest.raises(Refused, match="migration.*after it") as caught:
        guest.rollback("boot")
    assert caught.value.code == "busy"
    assert not caught.value.vm_changed
    guest.qmp.command("migrate_cancel")
    wait.until("the migration's end", lambda: status() == "cancelled")
    intact(guest)


# Snapshots that VSM did not make

def test_snapshot_made_by_qemu_img_is_refused(off):
    paths.run([paths.qemu_img(), "snapshot", "-c", "foreign",
               str(off.disks[0])])
    off.start(loadvm="boot")
    for load in (off.loadvm, off.snapshot_load):
        with pytest.raises(QmpError, match="'foreign' has disks alone.*"
                                           "qemu-img snapshot -a"):
            load("foreign")
        assert off.qmp.event("VSM_REFUSED")["code"] == "not-sealed"
    for command in ("vsm-rollback", "vsm-attest"):
        with pytest.raises(Refused, match="foreign") as caught:
            off.finish_vsm(*off.start_vsm(command, "foreign"))
        assert caught.value.code == "not-found"
    intact(off)
    off.delvm("foreign")
    assert off.qcow2_tags() == ["boot"]


def test_unsealed_snapshot_with_vmstate_is_refused(machines, golden):
    plain = machines.copy(golden, object="").start(loadvm="boot")
    plain.serial.ask("mem foreign")
    plain.savevm("unsealed")
    plain.quit()
    plain.config.object = "vm-snapshot-manager"
    plain.start(loadvm="boot")
    with same_disks(plain), \
            pytest.raises(QmpError, match="'unsealed' was never sealed.*"
                                          "take a new one"):
        plain.loadvm("unsealed")
    assert plain.qmp.event("VSM_REFUSED")["code"] == "not-sealed"
    intact(plain)
    plain.quit()
    with pytest.raises(Exited, match="sealed"):
        plain.start(loadvm="unsealed")
    plain.config.options = "require-sealed=off"
    plain.start(loadvm="unsealed")
    assert plain.status() == "running"
    assert plain.serial.ask("memget") == "foreign"
    assert plain.vsm_status()["require-sealed"] is False


def test_snapshot_of_stock_qemu_is_refused(machines, golden):
    """The unpatched binary writes a snapshot of its own into the disk."""
    never_sealed = "'stock' was never sealed.*take a new one"
    guest = machines.copy(golden, object="", qemu=paths.stock_qemu())
    guest.start(loadvm="boot")
    guest.serial.ask("mem foreign")
    guest.savevm("stock")
    guest.quit()
    guest.config.object, guest.config.qemu = "vm-snapshot-manager", ""
    guest.start(loadvm="boot")
    with same_disks(guest):
        for load in (guest.loadvm, guest.snapshot_load):
            with pytest.raises(QmpError, match=never_sealed):
                load("stock")
            assert guest.qmp.event("VSM_REFUSED")["code"] == "not-sealed"
        with pytest.raises(Refused, match=f'"stock".*{LISTS}') as caught:
            guest.rollback("stock")
        assert caught.value.code == "not-found"
    intact(guest)
    guest.quit()
    with same_disks(guest), pytest.raises(Exited, match=never_sealed):
        guest.start(loadvm="stock")
    guest.start(loadvm="boot")
    intact(guest)


def test_incoming_migration_is_refused(off):
    off.config.extra = ("-incoming", "defer")
    with pytest.raises(Exited, match="incoming migration cannot be checked.*"
                       "drop -incoming, or set require-sealed=off"):
        off.start(boot=False)
    off.config.options = "require-sealed=off"
    off.start(boot=False)
    assert off.status() == "inmigrate"


def test_device_state_from_a_file_is_refused(guest):
    """QEMU's other way to its parser; what it reads was never sealed."""
    state = guest.home / "state-of-devices"
    guest.qmp.command("xen-save-devices-state", filename=str(state),
                      live=False)
    guest.stop()
    guest.loadvm("boot")
    with pytest.raises(QmpError, match="was not checked is not loaded; use"):
        guest.qmp.command("xen-load-devices-state", filename=str(state))
    assert guest.status() == "paused"
    assert guest.attest("boot").result == "match"
    guest.cont()
    intact(guest)


# The store

REMEDY = "(can only be removed|ask by id)"


@pytest.mark.parametrize("part", ["metadata", "manifest", "stream", "map",
                                  "leaves", "skeleton"])
def test_damaged_record_is_refused(guest, part):
    """Seen when it is read: by a load, or already when it is opened."""
    flip(record_folder(guest) / part)
    with same_disks(guest):
        with pytest.raises(QmpError, match=f"(?i){part}.*{REMEDY}"):
            guest.loadvm("boot")
        assert guest.qmp.event("VSM_REFUSED")["code"] == "tampered"
        with pytest.raises(Refused, match=f"(?i){part}.*{REMEDY}") as caught:
            guest.rollback("boot")
        assert caught.value.code == "tampered"
    assert guest.status() == "running"
    assert guest.serial.ask("memget") == "golden"
    save_other(guest)
    other_loads(guest, part)


def other_loads(guest, part):
    """The snapshot whose part is damaged hides "other" at most by its tag."""
    if part == "metadata":      # which snapshot bears which tag is not known
        with pytest.raises(QmpError, match="by id"):
            guest.loadvm("other")
        identity = guest.vsm_snapshot("other")["id"]
        assert guest.rollback(f"id:{identity}").result == "match"
    else:
        guest.loadvm("other")
    assert guest.serial.ask("memget") == "other"


@pytest.mark.parametrize("part", ["metadata", "manifest", "stream", "map",
                                  "leaves", "skeleton"])
def test_truncated_or_missing_record_is_refused(guest, part):
    save_other(guest)
    path = record_folder(guest) / part
    path.chmod(0o600)
    os.truncate(path, path.stat().st_size // 2)
    with same_disks(guest):
        with pytest.raises(QmpError, match=f"(?i){part}.*{REMEDY}"):
            guest.loadvm("boot")
        path.unlink()
        with pytest.raises(QmpError, match=f"(?i){part}.*{REMEDY}"):
            guest.loadvm("boot")
    assert guest.status() == "running"
    assert guest.serial.ask("memget") == "golden"
    other_loads(guest, part)


CATALOGUE = "its catalogue is unusable.*restore the store's latest copy"


@pytest.mark.parametrize("name, at, remedy", [
    ("catalogue", 0, CATALOGUE),        # no catalogue any more
    ("catalogue", -80, CATALOGUE),      # or one that this host did not sign
    ("host", None, "host file.*restore the file"),
])
def test_damaged_store_stops_qemu_at_start_with_a_reason(off, name, at,
                                                         remedy):
    good = (off.state_dir / name).read_bytes()
    flip(off.state_dir / name, at)
    with same_disks(off), pytest.raises(Exited, match=remedy):
        off.start(loadvm="boot")
    (off.state_dir / name).write_bytes(good)
    off.start(loadvm="boot")
    intact(off)


def test_wrong_secret_is_refused(off):
    flip(off.secret)
    with pytest.raises(Exited, match="(?i)secret|host"):
        off.start(loadvm="boot")


def test_older_copy_of_the_store_is_refused(guest):
    old = guest.home / "old"
    shutil.copytree(guest.state_dir, old)
    guest.delvm("boot")
    guest.quit()
    shutil.rmtree(guest.state_dir)
    shutil.copytree(old, guest.state_dir)
    with pytest.raises(Exited, match="(?i)older|replay"):
        guest.start(loadvm="boot")


def test_prepared_catalogue_of_another_time_is_not_adopted(guest):
    """Neither the older catalogue nor a forged next one is taken."""
    shutil.copy(guest.state_dir / "catalogue",
                guest.state_dir / "catalogue.next")
    guest.savevm("one")
    guest.restart(loadvm="one")
    assert guest.vsm_tags() == ["boot", "one"]


@pytest.mark.in_process("QEMU does not hold the store")
def test_store_in_use_is_refused_and_the_holder_named(machines, guest):
    second = machines.copy(guest)
    second.state_dir, second.tpm = guest.state_dir, guest.tpm
    second.secret = guest.secret
    with pytest.raises(Exited, match=str(guest.pid())):
        second.start(boot=False)
    second.tpm = machines.new().tpm     # not this test's to stop twice
    intact(guest)


def test_secret_inside_the_store_is_refused(off):
    off.secret.rename(off.state_dir / "secret")
    off.secret = off.state_dir / "secret"
    with pytest.raises(Exited, match="secret"):
        off.start(loadvm="boot")


def test_state_directory_that_cannot_be_made(machines):
    guest = machines.new()
    guest.create()
    guest.state_dir.rmdir()
    (guest.home / "a-file").write_text("")
    guest.state_dir = guest.home / "a-file" / "state"
    with pytest.raises(Exited, match=re.escape(str(guest.state_dir)) +
                       ".*writable directory.*choose another directory"):
        guest.start(boot=False)


def test_state_directory_that_cannot_be_written(guest):
    save_other(guest)
    folder = guest.state_dir / "vm" / guest.config.uuid
    with unwritable(folder, guest.home / "moved"):
        with same_disks(guest), \
                pytest.raises(QmpError, match=re.escape(str(folder)) +
                              ".*writable.*choose another directory"):
            guest.savevm("one")
        assert guest.qmp.event("VSM_REFUSED")["code"] == "store"
        assert guest.status() == "running"
        assert guest.serial.ask("memget") == "golden"
        assert "one" not in guest.qcow2_tags()
    intact(guest, "other")


@pytest.fixture
def small_folder(tmp_path):
    """Makes file systems of so many bytes."""
    folders = []

    def make(size):
        folder = tmp_path / f"small{len(folders)}"
        folder.mkdir()
        paths.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700",
                   "tmpfs", str(folder)])
        folders.append(folder)
        return folder

    yield make
    for folder in folders:
        paths.run(["umount", "-l", str(folder)])


def test_store_full_is_refused_before_the_vm_stops(machines, small_folder):
    guest = machines.new()
    folder = small_folder("16m")
    guest.state_dir = folder / "state"
    guest.start()
    guest.savevm("one")
    (folder / "ballast").write_bytes(
        bytes(os.statvfs(folder).f_bavail * 4096 - 65536))
    guest.qmp.events.clear()
    with same_disks(guest), \
            pytest.raises(QmpError, match=re.escape(str(folder)) + ".*no space"
                          ".*remove snapshots, or make room"):
        guest.savevm("two")
    assert guest.qmp.event("VSM_REFUSED")["code"] == "no-space"
    assert guest.qmp.seen("STOP") == []
    assert guest.status() == "running"
    assert guest.vsm_tags() == ["one"]
    (folder / "ballast").unlink()
    guest.loadvm("one")
    guest.savevm("two")


def test_disk_full_while_saving_keeps_the_old_snapshot(off, small_folder):
    disk = off.disks[0]
    folder = small_folder(disk.stat().st_size + (16 << 20))
    shutil.move(disk, folder / disk.name)
    disk.symlink_to(folder / disk.name)
    off.start(loadvm="boot")
    old = off.vsm_snapshot("boot")
    full = f"{disk}): No space left on device; make room"
    with pytest.raises(QmpError, match="(?i)no space left"):
        off.savevm("boot")
    refusal = off.qmp.event("VSM_REFUSED")
    assert refusal["code"] == "no-space"
    assert full in refusal["message"]
    done = off.ctl("snapshot", "two", check=USAGE)
    assert full in done.stderr
    assert off.status() == "running"
    assert off.vsm_snapshot("boot") == old
    assert off.qcow2_tags() == ["boot"]
    intact(off)


# Commit

def test_refused_commit_leaves_no_trace(guest):
    save_other(guest)
    guest.tpm.proxy.fail(NV_EXTEND, 0x101, times=100)
    with same_disks(guest), \
            pytest.raises(QmpError, match="cannot .*: TPM: .*0x101"):
        guest.savevm("one")
    assert guest.qmp.event("VSM_REFUSED")["code"] == "tpm"
    guest.tpm.proxy.fail(NV_EXTEND, 0, times=0)
    assert guest.qcow2_tags() == ["boot", "other"]
    intact(guest, "other")


def test_lost_answer_of_the_commit_is_settled(guest):
    guest.tpm.proxy.lose_answer(NV_EXTEND)
    guest.savevm("one")
    assert guest.vsm_tags() == ["boot", "one"]
    guest.restart(loadvm="one")
    assert guest.vsm_tags() == ["boot", "one"]
    assert guest.serial.ask("memget") == "golden"
