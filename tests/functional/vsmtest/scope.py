"""A control group as systemd makes it for a domain of libvirt, where systemd
does not run.

libvirt asks systemd-machined for a scope; without systemd it makes groups of
its own, which vsmd does not take for a domain.  So the scope is made here, in
all hierarchies, and libvirt is told to make its groups below it (PARTITION).
It never enters systemd's own hierarchy: an emulator that is put between does,
as root, before it becomes QEMU.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import pathlib
import shlex

PARTITION = "<resource><partition>{}</partition></resource>"


def systemd_runs():
    return pathlib.Path("/run/systemd/system").is_dir()


def hierarchies():
    """{folder: whether it is systemd's own}: a named one, else the unified."""
    found = {}
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, folder, kind, options = line.split()[:4]
        if kind in ("cgroup", "cgroup2"):
            found[pathlib.Path(folder)] = "name=systemd" in options.split(",")
    if not any(found.values()):
        found = {folder: True for folder in found}
    return found


def make_group(path):
    """With the CPUs and the memory of its parent, which it would lack."""
    path.mkdir()
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (path / name).exists() and (path.parent / name).exists():
            (path / name).write_text((path.parent / name).read_text())


class Scope:
    """The scope of one domain; below: under another group than the root."""

    def __init__(self, domain, number=1, below=""):
        escaped = domain.replace("-", "\\x2d")
        self.name = f"/machine.slice/machine-qemu\\x2d{number}\\x2d" \
            f"{escaped}.scope"
        names = [f"/{below}"] if below else []
        names += [f"{'/' if below else ''}{below}{name}"
                  for name in ("/machine.slice", self.name)]
        folders = hierarchies()
        # Parents before children; machine.slice is systemd's, where it runs
        self._paths = [root / name.lstrip("/") for root in folders
                       for name in names]
        self._keep = systemd_runs()
        # A process enters by the file of each: systemd's own first
        self._procs = [root / names[-1].lstrip("/") / "cgroup.procs"
                       for root, own in folders.items() if own]

    def make(self):
        """Raises OSError where groups cannot be made."""
        try:
            for path in self._paths:
                if not path.exists():
                    make_group(path)
        except OSError:
            self.remove()
            raise
        return self

    def enter(self, pid):
        """Puts that process into it."""
        for path in self._procs:
            path.write_text(str(pid))

    def emulator(self, folder, program):
        """A program in that folder that enters the scope.

        libvirt also runs it for a moment to ask what it can do; as another
        user than root that one stays outside.
        """
        made = pathlib.Path(folder) / "qemu-in-scope"
        enter = "".join(
            f"[ ! -w {shlex.quote(str(path))} ] ||"
            f" echo $$ >{shlex.quote(str(path))}\n" for path in self._procs)
        made.write_text(f"#!/bin/sh\n{enter}"
                        f"exec {shlex.quote(program)} \"$@\"\n")
        made.chmod(0o755)
        return str(made)

    def remove(self):
        """Whether it is gone; not while a process is in it."""
        gone = True
        for path in reversed(self._paths):
            if self._keep and path.name == "machine.slice":
                continue
            try:
                path.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                # a slice may hold other scopes
                gone = gone and not path.name.endswith(".scope")
        return gone
