"""Machines that are made once in a run of the tests, by whichever of its
processes needs one first, and are only copied then.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import fcntl
import pathlib
import shutil
import sys

from .guest import Guest


class Shelf:
    """In a folder that all processes of the run know."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def get(self, name, config, fill):
        """The machine of that name, off; fill(guest) once made it that.

        A name stands for one configuration.
        """
        home = self.folder / name
        made = home / "made"
        guest = Guest(config, home)
        with open(self.folder / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                shutil.rmtree(home, ignore_errors=True)
                try:
                    guest.start()
                    fill(guest)
                    guest.halt()
                except BaseException:
                    if (home / "stderr").exists():
                        print(f"QEMU in {home}:", guest.stderr(),
                              file=sys.stderr)
                    guest.cleanup()
                    raise
                made.write_text(repr(config))
        assert made.read_text() == repr(config), f"'{name}' is another machine"
        return guest
