"""What a mismatch of scope runtime does to the VM: on-mismatch.

Here vsm-attest finds it; test_watch.py has what the watch finds.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import time

CPU4 = ("-cpu", "max,la57=off")


def acting(machines, action):
    """A running guest with the snapshot "clean"."""
    guest = machines.new(flavour="attack", extra=CPU4, memory_mib=192,
                         options=f"on-mismatch={action}")
    guest.start()
    guest.snapshot_save("clean")
    return guest


def acted(guest, action):
    """The guest is as the action leaves it."""
    if action == "rollback":
        guest.rolled_back()
        assert guest.attest_runtime("clean").result == "match"
    else:
        assert guest.status() == "paused"


def test_attest_acts_by_on_mismatch_too(machines):
    guest = acting(machines, "rollback")
    guest.serial.ask("attack rodata")
    assert guest.attest_runtime("clean").result == "mismatch"
    acted(guest, "rollback")


def test_fourth_rollback_within_an_hour_is_a_pause(machines):
    guest = acting(machines, "rollback")
    for number in range(4):
        guest.serial.ask("attack rodata")
        assert guest.attest_runtime("clean").result == "mismatch"
        if number < 3:
            guest.rolled_back()
    time.sleep(1)
    assert guest.status() == "paused"
    assert "3 times within an hour" in guest.stderr()
