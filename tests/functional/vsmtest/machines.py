"""Makes machines for tests, and ends them.

SPDX-License-Identifier: GPL-2.0-or-later
"""
from .guest import Config, Guest


class Machines:
    """Makes machines for one test and ends them after it."""

    def __init__(self, clean_machine=None):
        self.made = []
        self._clean_machine = clean_machine

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
        """
        A guest that can be attacked, running on from the snapshot "clean".
        """
        return self.copy(self._clean_machine(), **changes).start(
            loadvm="clean")

    def end(self):
        for guest in self.made:
            guest.cleanup()
