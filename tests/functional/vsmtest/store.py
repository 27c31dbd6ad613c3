"""Files of the store, altered as somebody who can write there would.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import contextlib
import shutil
import subprocess


def record_folder(guest, tag="boot"):
    """The folder of a sealed snapshot in the store."""
    return (guest.state_dir / "vm" / guest.config.uuid /
            guest.vsm_snapshot(tag)["id"])


def flip(path, offset=None):
    """Flips a bit in the middle of a file, or where told."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if offset is None else offset] ^= 0x01
    path.chmod(0o600)
    path.write_bytes(data)


@contextlib.contextmanager
def unwritable(folder, aside):
    """Root writes everywhere, so the folder is made immutable instead."""
    done = subprocess.run(["chattr", "+i", folder], check=False)
    if done.returncode:
        # no such flag on this file system: a file stands in the way
        shutil.move(folder, aside)
        folder.write_text("")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", folder], check=False)
        if aside.exists():
            folder.unlink()
            shutil.move(aside, folder)
