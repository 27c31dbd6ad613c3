"""A control group as systemd makes it for a domain of libvirt, where systemd
does not run.

libvirt asks systemd-machined for a scope; without systemd it makes groups of
its own, which vsmd does not take for a domain.  So an emulator is put between
that enters the scope, as root, before it becomes QEMU.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import pathlib
import shlex


def systemd_runs():
    return pathlib.Path("/run/systemd/system").is_dir()


def hierarchy():
    """The folder of systemd's own hierarchy: named, else the unified one."""
    unified = None
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, folder, kind, options = line.split()[:4]
        if kind == "cgroup" and "name=systemd" in options.split(","):
            return pathlib.Path(folder)
        if kind == "cgroup2":
            unified = pathlib.Path(folder)
    return unified


class Scope:
    """The scope of one domain; below: under another group than the root."""

    def __init__(self, domain, number=1, below=""):
        escaped = domain.replace("-", "\\x2d")
        folder = hierarchy() / below
        self.path = folder / "machine.slice" / \
            f"machine-qemu\\x2d{number}\\x2d{escaped}.scope"
        # What goes with it once it is empty, from below
        self._made = [self.path]
        if not systemd_runs():
            self._made.append(self.path.parent)
        if below:
            self._made.append(folder)

    def make(self):
        """Raises OSError where groups cannot be made."""
        self.path.mkdir(parents=True)
        return self

    def enter(self, pid):
        """Puts that process into it."""
        (self.path / "cgroup.procs").write_text(str(pid))

    def emulator(self, folder, program):
        """A program in that folder that enters the scope.

        libvirt also runs it as another user, to ask what it can do; that
        one stays outside.
        """
        made = pathlib.Path(folder) / "qemu-in-scope"
        procs = shlex.quote(str(self.path / "cgroup.procs"))
        made.write_text("#!/bin/sh\n"
                        f"[ ! -w {procs} ] || echo $$ >{procs}\n"
                        f"exec {shlex.quote(program)} \"$@\"\n")
        made.chmod(0o755)
        return str(made)

    def remove(self):
        """Whether it is gone; not while a process is in it."""
        for path in self._made:
            try:
                path.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                # a slice may hold other scopes
                return path != self.path
        return True
