"""A guest that QEMU watches by itself, and what the watch tells.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json

from . import wait
from .qmp import QmpError
from .vsm import unb64url

CPU4 = ("-cpu", "max,la57=off")
SECONDS = 2
PATIENCE = 30       # for a result of the watch, in seconds

# What a TPM may answer to one command
NV_RATE = 0x920     # the attester is busy
FAILURE = 0x101     # or it cannot do it


def watched(machines, options="", extra=(), seconds=SECONDS):
    """A running guest with the snapshot "clean", which is watched."""
    guest = machines.clean(
        extra=CPU4 + extra,
        options=f"watch={seconds},watch-snapshot=tag:clean" + options)

    def told():
        status = guest.vsm_status()
        watch = status["watch"]
        return (status["state"] == "idle" and watch["reported"] and
                watch.get("result") == "match")

    wait.until("the watch's match", told, PATIENCE)
    guest.qmp.events.clear()    # that it matches
    return guest


def result(guest, wanted=None):
    """The next result of the watch."""
    def ours(event):
        return (event["event"] == "VSM_ATTESTED" and
                event["data"]["answer"]["operation"] == "watch")

    event = guest.qmp.any_event(ours, "result of the watch", PATIENCE)
    answer = event["data"]["answer"]
    if wanted:
        assert answer["verdict"]["result"] == wanted, answer["verdict"]
    return answer


def differs(guest):
    """The next mismatch of the watch; a match may come before."""
    answer = result(guest)
    return answer if answer["verdict"]["result"] == "mismatch" else \
        result(guest, "mismatch")


def admitted(action):
    """What action returns once no look of the watch keeps it out."""
    def attempt():
        try:
            return action() or True
        except QmpError as error:
            assert "busy" in error.text
            return None

    return wait.until("the watch is idle", attempt)


def attested(guest, **options):
    """What an attestation of its running guest says, between two looks."""
    return guest.finish_vsm(*admitted(lambda: guest.start_vsm(
        "vsm-attest", "clean", scope="runtime", **options)))


def claims_of(answer):
    return json.loads(unb64url(answer["report"].split(".")[1]))


def refusal(guest, code, text):
    """The next failure of the watch that is told."""
    def ours(event):
        return (event["event"] == "VSM_REFUSED" and
                event["data"]["operation"] == "watch")

    data = guest.qmp.any_event(ours, "refusal of the watch", PATIENCE)["data"]
    assert data["code"] == code
    assert text in data["message"]
