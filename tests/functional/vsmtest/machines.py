"""Makes machines for tests, and ends them.

SPDX-License-Identifier: GPL-2.0-or-later
"""
from .guest import Config, Guest


class Machines:
    """Makes machines for one test and ends them after it."""

    def __init__(self, shelf=None):
        self.made = []
        self._shelf = shelf

    def add(self, guest):
        self.made.append(guest)
        return guest

    def new(self, **options):
        """A machine that was never started."""
        return self.add(Guest(Config(**options)))

    def copy(self, guest, **changes):
        """A machine that is off, copied."""
        return self.add(guest.copy(**changes))

    def clean(self, **changes):
        """A guest with the module of tests/guest/attack, running on from the
        snapshot "clean".
        """
        config = Config(flavour="attack", extra=("-cpu", "max,la57=off"),
                        vcpus=2, memory_mib=192)
        return self.sealed("clean", config, **changes)

    def sealed(self, name, config, **changes):
        """A machine of that configuration, running on from the snapshot "clean".

        name: the shelf's for the machine that it is copied from
        """
        machine = self._shelf(name, config,
                              lambda guest: guest.snapshot_save("clean"))
        return self.copy(machine, **changes).start(loadvm="clean")

    def end(self):
        for guest in self.made:
            guest.cleanup()
