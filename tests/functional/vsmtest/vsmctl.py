"""Running vsmctl.

SPDX-License-Identifier: GPL-2.0-or-later
"""
from . import paths

MATCH, MISMATCH, UNTRUSTED, USAGE, UNAVAILABLE, ENCRYPTED = range(6)


def vsmctl(*argv, check=None, **options):
    """Runs vsmctl; check: the exit code that it must end with."""
    argv = [paths.vsmctl()] + [str(word) for word in argv]
    done = paths.run(argv, check=False, **options)
    if check is not None and done.returncode != check:
        raise AssertionError(f"{' '.join(argv)}: exit code {done.returncode},"
                             f" not {check}\n{done.stdout}{done.stderr}")
    return done
