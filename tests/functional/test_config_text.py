"""The configuration that snapshots are bound to, line by line.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import hashlib
import re

import pytest

from vsmtest.paths import ROOT

pytestmark = pytest.mark.in_process("the text is QEMU's, whoever attests")

# Of Debian's packages, not of the form: firmware and the guest's kernel
MASKED = re.compile(r"^(firmware \S+|kernel|initrd) bytes=\d+ "
                    r"sha384=[0-9a-f]{96}$", flags=re.M)


def machine_of_every_line(machines, tmp_path):
    """One machine that has each kind of line, and a value to escape."""
    (tmp_path / "blob").write_text("two\n")
    return machines.new(
        machine="pc-q35-10.0", vcpus=2, memory_mib=128,
        kernel_line="console=ttyS0",
        devices=("virtio-net", "virtio-rng", "xhci"), vtpm=True, extra=(
            "-cpu", "Nehalem-v1", "-name", "of no matter",
            "-object", "memory-backend-ram,id=m0,size=64M",
            "-object", "memory-backend-ram,id=m1,size=64M,share=on",
            "-numa", "node,nodeid=0,memdev=m0,cpus=0",
            "-numa", "node,nodeid=1,memdev=m1,cpus=1",
            "-numa", "dist,src=0,dst=1,val=20",
            "-blockdev", "null-co,node-name=extra,size=1048576,"
            "read-zeroes=on",
            "-device", "virtio-blk-pci,drive=extra,serial=5 % \u00e9",
            "-fw_cfg", "name=opt/org.vsm/one,string=one",
            "-fw_cfg", f"name=opt/org.vsm/t wo,file={tmp_path / 'blob'}"))


def test_configuration_is_the_text_of_the_documentation(machines, tmp_path):
    guest = machine_of_every_line(machines, tmp_path)
    guest.start(paused=True)
    info = guest.vsm_status()
    text = info["config-text"]
    assert hashlib.sha384(text.encode()).hexdigest() == info["config"]
    assert str(guest.home) not in text and "disk0" not in text
    fixture = ROOT / "tests/fixtures/config-v1.txt"
    assert (MASKED.sub(r"\1 bytes=... sha384=...", text).splitlines() ==
            fixture.read_text().splitlines())
