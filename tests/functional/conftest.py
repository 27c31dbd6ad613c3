"""Fixtures: machines, made once and copied.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from vsmtest import guest as guest_module  # noqa: E402
from vsmtest.guest import DAEMON, IN_PROCESS, Config  # noqa: E402
from vsmtest.host import Host  # noqa: E402
from vsmtest.machines import Machines  # noqa: E402
from vsmtest.shelf import Shelf  # noqa: E402

BOOT = "boot"
SHELF = "VSM_TEST_SHELF"    # the environment's name of the shelf's folder

# A worker takes whole files.  Those that wait most come first, beside others that
# compute, then those that compute longest: neither must come last.
LONG_FILES = ["test_libvirt_daemon", "test_watch", "test_watch_unsigned",
              "test_libvirt", "test_watch_looks", "test_daemon_faults",
              "test_bad_input", "test_monitor", "test_attest", "test_runtime",
              "test_tpm_faults", "test_snapshot", "test_crash",
              "test_many_vms", "test_host_update", "test_runtime_dump",
              "test_rollback"]


def pytest_addoption(parser):
    parser.addoption("--attester", default=IN_PROCESS,
                     choices=[IN_PROCESS, DAEMON, "both"],
                     help="who attests: QEMU's process, vsmd, or each in turn")
    parser.addoption("--full", action="store_true",
                     help="with the daemon also what is hardly its affair")
    parser.addoption("--many-vms-seconds", type=int, default=60,
                     help="how long the test of many VMs on one TPM runs")


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "in_process(why): not run with the daemon")
    config.addinivalue_line(
        "markers", "full_with_daemon(why): with the daemon only by --full")
    config.addinivalue_line(
        "markers", "daemon_only: run with the daemon alone")
    if not hasattr(config, "workerinput"):      # its workers inherit it
        os.environ[SHELF] = tempfile.mkdtemp(prefix="vsm-shelf-")


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ[SHELF], ignore_errors=True)


def pytest_terminal_summary(terminalreporter):
    """What a test measured, as record_property("figures", text)."""
    for report in terminalreporter.getreports("passed"):
        for name, text in report.user_properties:
            if name == "figures" and report.when == "call":
                terminalreporter.write_line(f"{report.nodeid}: {text}")


def pytest_generate_tests(metafunc):
    """Each test in the modes that are asked for."""
    asked = metafunc.config.getoption("attester")
    metafunc.parametrize(
        "attester", [IN_PROCESS, DAEMON] if asked == "both" else [asked],
        indirect=True, scope="session")


def pytest_collection_modifyitems(config, items):
    """Tests of one mode are left out of the other."""
    def fits(item):
        mode = item.callspec.params["attester"]
        if mode != DAEMON:
            return not item.get_closest_marker("daemon_only")
        return not item.get_closest_marker("in_process") and (
            config.getoption("--full") or
            item.get_closest_marker("daemon_only") or
            not item.get_closest_marker("full_with_daemon"))

    def turn(item):
        name = item.path.stem
        return LONG_FILES.index(name) if name in LONG_FILES else len(LONG_FILES)

    left_out = [item for item in items if not fits(item)]
    items[:] = sorted(filter(fits, items), key=turn)
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session", autouse=True)
def attester(request):
    """Who attests; the machines that are made meanwhile have it."""
    guest_module.attester = request.param
    yield request.param
    guest_module.attester = IN_PROCESS


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows what QEMU wrote when a test fails."""
    outcome = yield
    report = outcome.get_result()
    made = getattr(item.funcargs.get("machines"), "made", []) + [
        guest for name, guest in item.funcargs.items()
        if name == "lasting_machine"]
    if report.failed:
        for guest in made:
            if (guest.home / "stderr").exists():
                report.sections.append((f"QEMU in {guest.home}",
                                        guest.stderr()))
            if guest.daemon:
                report.sections.append((f"vsmd in {guest.home}",
                                        guest.daemon.log()))
        if "lasting_machine" in item.funcargs:
            item.funcargs["lasting_machine"].kill()     # a new one for others


@pytest.fixture(scope="session")
def shelf(attester):
    """Gets machines by name, others in each mode."""
    shelf = Shelf(os.environ[SHELF])
    return lambda name, config, fill: shelf.get(f"{name}-{attester}", config,
                                                fill)


@pytest.fixture
def machines(shelf):
    """For tests that make machines of their own."""
    made = Machines(shelf)
    yield made
    made.end()


@pytest.fixture(scope="session")
def golden(shelf):
    """A machine that is off, with the sealed snapshot "boot".

    In "boot" the guest is idle, holds "golden" in RAM and on its disk;
    afterwards it wrote "later" to the disk, so going back shows.
    """
    def fill(guest):
        guest.serial.ask("mem golden")
        guest.serial.ask("put golden")
        guest.snapshot_save(BOOT)
        guest.serial.ask("put later")

    return shelf("golden", Config(), fill)


@pytest.fixture(scope="session")
def two_disks(shelf):
    """A machine with two disks, off, sealed as "keep" holding "old"."""
    def fill(guest):
        guest.serial.ask("mem old")
        guest.savevm("keep")

    return shelf("two-disks", Config(extra_disk=True, devices=(), mortal=True),
                 fill)


@pytest.fixture
def off(machines, golden):
    """A copy of the golden machine, not started; its TPM runs."""
    return machines.copy(golden).create()


@pytest.fixture(scope="module")
def lasting_machine(golden):
    made = Machines()
    yield made.copy(golden)
    made.end()


@pytest.fixture
def lasting(lasting_machine):
    """
    As guest, one for all tests of a file: for what must leave it as it was.
    """
    guest = lasting_machine
    if not guest.alive():
        guest.start(loadvm=BOOT)
    if guest.status() != "running":
        guest.cont()
    assert guest.serial.ask("memget") == "golden"
    guest.qmp.events.clear()
    return guest


@pytest.fixture
def lasting_paused(lasting):
    """Of the same machine: it is as "boot" was sealed."""
    lasting.stop()
    lasting.loadvm(BOOT)
    return lasting


@pytest.fixture
def guest(off):
    """A copy of the golden machine, running on from "boot"."""
    off.start(loadvm=BOOT)
    off.serial.ask("ping")
    return off


@pytest.fixture
def paused(off):
    """A copy of the golden machine, loaded from "boot", never run since."""
    return off.start(loadvm=BOOT, paused=True)


@pytest.fixture
def hosts():
    """Makes hosts without QEMU, with options of their own."""
    made = []

    def new(*options):
        made.append(Host(*options))
        return made[-1]

    yield new
    for host in made:
        host.end()


@pytest.fixture
def host(hosts):
    """One that waits 2 s for the rest of a message."""
    return hosts("--message-timeout-ms=2000")
