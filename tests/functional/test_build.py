"""What the build and check scripts promise, on a small stand-in for QEMU.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import hashlib
import os
import shutil
import subprocess

import pytest

from vsmtest import paths
from vsmtest.paths import ROOT

pytestmark = pytest.mark.in_process("no attester")

PATCH = """\
--- a/main.c
+++ b/main.c
@@ -1 +1 @@
-int stock;
+int {name};
"""


class Tree:
    """A checkout with the real scripts, and a QEMU of two files."""

    def __init__(self, home):
        self.top = home / "checkout"
        self.qemu = home / "qemu-10.0"
        self.patches = self.top / "qemu-patches/10.0"
        shutil.copytree(ROOT / "scripts", self.top / "scripts")
        self.patches.mkdir(parents=True)
        (self.qemu / "qapi").mkdir(parents=True)
        (self.qemu / "VERSION").write_text("10.0.99\n")
        (self.qemu / "main.c").write_text("int stock;\n")
        (self.qemu / "other.c").write_text("int other;\n")
        self.patched = self.top / "build/src/qemu/source"

    def run(self, script, *args, **variables):
        env = {k: v for k, v in os.environ.items()
               if k not in ("VSM_BUILD", "QEMU_SRC")}
        env.update({k: str(v) for k, v in variables.items()})
        return subprocess.run([self.top / "scripts" / script, *args],
                              env=env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=120)

    def source(self, **variables):
        return self.run("build-qemu", "--source", **variables)


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def refused(done, *words):
    """Exit code 1, and the last line names the thing and the remedy."""
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    for word in words:
        assert word in last


def test_missing_package_is_named_with_the_remedy(tree):
    with open(tree.top / "scripts/packages.txt", "a") as packages:
        packages.write("vsm-no-such-package\n")
    done = tree.source(QEMU_SRC=tree.qemu)
    refused(done, "vsm-no-such-package", "run scripts/setup")
    assert len(done.stderr.splitlines()) == 1


def refused_archive(tree, address):
    """Nothing of it is unpacked; one line beside the one that begins."""
    done = tree.source(VSM_DEBIAN_MIRROR=address,
                       VSM_DEBIAN_SECURITY_MIRROR=address)
    refused(done, "cannot be reached or checked", "QEMU_SRC")
    assert len(done.stderr.splitlines()) == 2
    assert "fetching Debian's source package" in done.stderr
    assert list((tree.top / "build/src").iterdir()) == []
    assert list((tree.top / "build/debian").glob("source/*")) == []


def test_unreachable_archive_is_one_line_with_the_remedy(tree):
    refused_archive(tree, "http://127.0.0.1:9/debian")


def source_package(pool):
    """A QEMU 10.0 that is none; its entry in an archive's list."""
    source = pool / "qemu-10.0.99"
    (source / "debian/source").mkdir(parents=True)
    (source / "debian/source/format").write_text("3.0 (native)\n")
    (source / "debian/control").write_text(
        "Source: qemu\nMaintainer: nobody <nobody@localhost>\n"
        "Standards-Version: 4.6.2\n\n"
        "Package: qemu\nArchitecture: all\nDescription: forged\n")
    (source / "debian/changelog").write_text(
        "qemu (1:10.0.99) trixie; urgency=low\n\n  * Forged.\n\n"
        " -- nobody <nobody@localhost>  Thu, 01 Jan 2026 00:00:00 +0000\n")
    subprocess.run(["dpkg-source", "-b", source.name], cwd=pool, check=True,
                   capture_output=True)
    described = (pool / "qemu_10.0.99.dsc").read_text()
    checksums = described[described.index("Checksums-Sha256:"):
                          described.index("Files:")]
    return ("Package: qemu\nBinary: qemu\nVersion: 1:10.0.99\n"
            "Architecture: all\nFormat: 3.0 (native)\nDirectory: pool\n"
            f"{checksums.rstrip()}\n "
            f"{sha256_line(pool, 'qemu_10.0.99.dsc')}\n")


def sha256_line(folder, path):
    content = (folder / path).read_bytes()
    return f"{hashlib.sha256(content).hexdigest()} {len(content)} {path}"


def unsigned_archive(home):
    """All of a Debian archive that build-qemu asks for, but a signature."""
    (home / "pool").mkdir(parents=True)
    sources = source_package(home / "pool")
    for suite in ("trixie", "trixie-security", "bookworm-backports"):
        folder = home / "dists" / suite
        lists = ["main/source/Sources", "main/binary-amd64/Packages"]
        for path in lists:
            (folder / path).parent.mkdir(parents=True)
            (folder / path).write_text(
                sources if path.endswith("Sources") else "")
        (folder / "Release").write_text(
            f"Origin: Debian\nSuite: {suite}\nCodename: {suite}\n"
            "Date: Thu, 01 Jan 2026 00:00:00 UTC\n"
            "Architectures: amd64\nComponents: main\nSHA256:\n" + "".join(
                f" {sha256_line(folder, path)}\n" for path in lists))
    return f"file://{home}"


def test_archive_that_nobody_signed_is_refused(tree, tmp_path):
    refused_archive(tree, unsigned_archive(tmp_path / "mirror"))


def test_patch_that_does_not_apply_is_named(tree):
    (tree.patches / "0001-odd.patch").write_text(
        PATCH.format(name="odd").replace("int stock", "int gone"))
    refused(tree.source(QEMU_SRC=tree.qemu), "0001-odd.patch", "10.0.99",
            "mend the patch")
    refused(tree.source(QEMU_SRC=tree.qemu), "0001-odd.patch")


def test_qemu_src_that_is_no_qemu_is_refused(tree, tmp_path):
    refused(tree.source(QEMU_SRC=tmp_path), str(tmp_path), "QEMU_SRC")


def test_qemu_src_is_copied_and_stays_as_it_is(tree):
    (tree.patches / "0001-a.patch").write_text(PATCH.format(name="one"))
    assert tree.source(QEMU_SRC=tree.qemu).returncode == 0
    assert (tree.patched / "main.c").read_text() == "int one;\n"
    assert (tree.qemu / "main.c").read_text() == "int stock;\n"


def test_changed_patch_goes_onto_a_clean_tree_and_touches_no_other_file(tree):
    patch = tree.patches / "0001-a.patch"
    patch.write_text(PATCH.format(name="one"))
    assert tree.source(QEMU_SRC=tree.qemu).returncode == 0
    (tree.patched / "left-behind.c").write_text("int left;\n")
    before = (tree.patched / "other.c").stat().st_mtime_ns

    patch.write_text(PATCH.format(name="two"))
    assert tree.source(QEMU_SRC=tree.qemu).returncode == 0
    assert (tree.patched / "main.c").read_text() == "int two;\n"
    assert not (tree.patched / "left-behind.c").exists()
    assert (tree.patched / "other.c").stat().st_mtime_ns == before


def test_edit_in_qemu_src_arrives_and_touches_no_other_file(tree):
    (tree.patches / "0001-a.patch").write_text(PATCH.format(name="one"))
    (tree.qemu / "gone.c").write_text("int gone;\n")
    assert tree.source(QEMU_SRC=tree.qemu).returncode == 0
    before = (tree.patched / "main.c").stat().st_mtime_ns

    (tree.qemu / "other.c").write_text("int edit;\n")   # of the same size
    (tree.qemu / "new.c").write_text("int new;\n")
    (tree.qemu / "gone.c").unlink()
    (tree.qemu / "build").mkdir()
    (tree.qemu / "build/main.o").write_text("is no source")
    assert tree.source(QEMU_SRC=tree.qemu).returncode == 0
    assert (tree.patched / "other.c").read_text() == "int edit;\n"
    assert (tree.patched / "new.c").exists()
    assert not (tree.patched / "gone.c").exists()
    assert not (tree.patched / "build").exists()
    assert (tree.patched / "main.c").read_text() == "int one;\n"
    assert (tree.patched / "main.c").stat().st_mtime_ns == before


def test_second_run_changes_nothing(tree):
    (tree.patches / "0001-a.patch").write_text(PATCH.format(name="one"))
    assert tree.source(QEMU_SRC=tree.qemu).returncode == 0
    before = (tree.patched / "main.c").stat().st_mtime_ns
    assert tree.source(QEMU_SRC=tree.qemu).returncode == 0
    assert (tree.patched / "main.c").stat().st_mtime_ns == before


MAIL = """\
From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001
From: VSM <vsm@localhost>
Date: Thu, 1 Jan 1970 00:00:00 +0000
Subject: [PATCH 1/1] main: is {name}

Why.
---
"""


def write_mail(tree, name):
    (tree.patches / "0001-main.patch").write_text(
        MAIL.format(name=name) + PATCH.format(name=name))


def stand_in(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def test_series_that_was_not_built_since_it_changed_is_told(tree):
    """Patch by patch, which only `check-patches --build` does."""
    stand_in(tree.qemu / "scripts/checkpatch.pl", "exit 0;\n")
    stand_in(tree.top / "build/qemu/tests/qemu-iotests/check",
             "for n in (68, 267, 286): print(f'ok {n} qcow2 {n:03}')\n")
    write_mail(tree, "one")
    assert tree.source(QEMU_SRC=tree.qemu).returncode == 0

    def checked(*args, builds=True):
        stand_in(tree.top / "scripts/build-qemu",
                 f"#!/bin/sh\nexit {0 if builds else 1}\n")
        done = tree.run("check-patches", *args)
        told = "the series changed since it was last built" in done.stderr
        return done.returncode, told

    assert checked() == (1, True)
    assert checked("--build", builds=False) == (1, False)
    assert checked() == (1, True)
    assert checked("--build") == (0, False)
    assert checked() == (0, False)
    write_mail(tree, "two")
    assert checked() == (1, True)


@pytest.mark.parametrize("path, include, reason", [
    ("src/base/a.c", '"core/b.h"', "src/base may not include src/core"),
    ("src/core/a.c", "<openssl/evp.h>", "only for src/crypto"),
    ("src/host/a.c", "<tss2/tss2_esys.h>", "only for src/tpm"),
    ("src/core/a.c", "<jansson.h>", "only for src/report"),
    ("src/core/a.c", "<fcntl.h>", "only for"),
    ("src/attester/a.c", "<store/b.h>", "may not include src/store"),
    ("src/report/a.c", '"tpm/b.h"', "may only include tpm/structures.h"),
    ("src/host/a.c", '"qemu/osdep.h"', "no such header of ours"),
    ("src/qemu/a.c", '"../core/b.h"', "no way around"),
    ("src/qemu/a.c", "<openssl/evp.h>", "include/vsm alone"),
    ("src/extra/a.c", "<glib.h>", "is no layer"),
])
def test_layers_refuse(tree, path, include, reason):
    for folder in ("core", "store", "tpm"):
        (tree.top / "src" / folder).mkdir(parents=True)
        (tree.top / "src" / folder / "b.h").write_text("/* b */\n")
    assert tree.run("check-layers").returncode == 0

    source = tree.top / path
    source.parent.mkdir(exist_ok=True)
    source.write_text(f"#include {include}\n")
    done = tree.run("check-layers")
    assert done.returncode == 1
    assert reason in done.stdout


def test_symbols_refuse_what_no_public_header_declares(tree, tmp_path):
    (tree.top / "include/vsm").mkdir(parents=True)
    (tree.top / "include/vsm/a.h").write_text("int vsm_public(void);\n")
    library = tmp_path / "libvsm.so"

    def check(code):
        subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o",
                        library], input=code, text=True, check=True)
        return tree.run("check-symbols", library)

    assert check("int vsm_public(void) { return 0; }").returncode == 0
    done = check("int vsm_public(void) { return 0; }\n"
                 "int vsm_private(void) { return 0; }\n")
    assert done.returncode == 1 and "vsm_private: exported" in done.stdout
    done = check("int vsm_private;\n")
    assert done.returncode == 1 and "vsm_public: declared" in done.stdout


IOTESTS = ("ok qcow2 068", "ok qcow2 267", "ok qcow2 286")


def qemu_with_own_tests(home, migration, iotests=IOTESTS):
    """A finished build as check-qemu sees it; @migration is a shell script."""
    stand_in(home / "qemu-system-x86_64", "#!/bin/sh\nexit 0\n")
    stand_in(home / "tests/qtest/migration-test",
             f"#!/bin/sh\n{migration}\n")
    stand_in(home / "tests/qemu-iotests/check",
             f"print({chr(10).join(iotests)!r})")
    return home


def check_qemu(tree, stock, patched, limit="20m", argv=()):
    """check-qemu on two builds; each is its migration-test, or more."""
    def build(name, tests):
        return qemu_with_own_tests(tree.top / name, *(
            (tests,) if isinstance(tests, str) else tests))

    return tree.run("check-qemu", *argv, VSM_QEMU_TEST_LIMIT=limit,
                    VSM_QEMU_DIR=build("patched", patched),
                    VSM_QEMU_STOCK_DIR=build("stock", stock))


@pytest.mark.parametrize("stock, patched, limit, words", [
    ("echo ok 1 /a", "echo ok 1 /a", "20m", None),
    ("echo ok 1 /a", "echo not ok 1 /a", "20m", "/a: fail, stock: pass"),
    ("echo ok 1 /a; exec sleep 60", "echo ok 1 /a", "2s", "(stock)"),
    ("echo ok 1 /a", "echo ok 1 /a; exec sleep 60", "2s", "(patched)"),
    ("echo ok 1 /a", "echo ok 1 /a; kill -ABRT $$", "20m",
     "of the patched build broke off"),
])
def test_qemus_own_tests_compared(tree, stock, patched, limit, words):
    """What was cut off or failed is no reference, and is not kept as one."""
    done = check_qemu(tree, stock, patched, limit)
    for name, tests in ("stock", stock), ("patched", patched):
        kept = (tree.top / f"build/check-qemu/{name}.of").exists()
        assert kept == (tests == "echo ok 1 /a")
    if words is None:
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "4 passed, 0 failed"
    else:
        assert done.returncode == 1
        assert words in done.stderr


def test_qemus_tests_run_again_when_what_they_run_changed(tree):
    runs = tree.top / "runs"
    tests = f"echo ok 1 /a; echo $0 >>{runs}"

    def ran(*argv, more=""):
        runs.write_text("")
        done = check_qemu(tree, tests, tests + more, argv=argv)
        assert done.stdout.splitlines()[-1] == "4 passed, 0 failed"
        return len(runs.read_text().splitlines())

    assert ran() == 2
    assert ran() == 0
    assert ran(more="; :") == 1
    assert ran("--again", more="; :") == 2


def test_qemus_tests_do_not_see_a_kvm(tree):
    """Where there is one: root may write the device, but not what hides it."""
    tests = "[ -w /dev/kvm ] && echo not ok 1 /a || echo ok 1 /a"
    done = check_qemu(tree, tests, tests)
    assert done.stdout.splitlines()[-1] == "4 passed, 0 failed", done.stderr


def test_qemus_test_that_stock_lacks_can_fail(tree):
    done = check_qemu(tree, "echo ok 1 /a",
                      "echo ok 1 /a; echo not ok 2 /new")
    assert done.returncode == 1
    assert "/new: fail, stock: none" in done.stderr
    assert done.stdout.splitlines()[-1] == "4 passed, 1 failed"


def test_qemus_test_that_both_skip_is_named_and_not_counted(tree):
    tests = "echo ok 1 /a; echo 'ok 2 /tls # SKIP no gnutls'"
    done = check_qemu(tree, tests, tests)
    assert done.returncode == 0, done.stderr
    assert "skipped: migration-test/tls" in done.stderr
    assert done.stdout.splitlines()[-1] == "4 passed, 0 failed"


@pytest.mark.parametrize("missing", [
    (), ("ok qcow2 267 # SKIP",), ("not ok qcow2 267",)])
def test_qemus_iotests_must_each_pass_on_both(tree, missing):
    """Even where stock does no better, as without what they need."""
    tests = ("echo ok 1 /a", (IOTESTS[0], *missing, IOTESTS[2]))
    done = check_qemu(tree, tests, tests)
    assert done.returncode == 1
    for build in ("stock", "patched"):
        assert f"iotest 267 does not pass on the {build} build" in done.stderr
    assert done.stdout.splitlines()[-1] == "3 passed, 2 failed"


DEMO = """\
#!/bin/bash
step() {{ printf '%s\\n' ---------- "Step $1 of 2: x" "${{@:2}}"; }}
step 1 {{1..{lines}}}
step 2 '    {closing}'
{end}
"""
CLOSING = "Everything came out as it must."


def check_demo(tree, end="", lines=22, closing=CLOSING):
    """check-demo on a demo of two steps."""
    for path in ("build/qemu/qemu-system-x86_64", "scripts/build-qemu",
                 "tests/guest/build-guest"):
        stand_in(tree.top / path, "#!/bin/sh\n")
    stand_in(tree.top / "scripts/demo",
             DEMO.format(end=end, lines=lines, closing=closing))
    return tree.run("check-demo", VSM_DEMO_SECONDS=5)


def test_demo_that_is_as_it_must_be(tree):
    done = check_demo(tree)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "14 passed, 0 failed"


@pytest.mark.parametrize("wrong, words", [
    ({"end": "exit 1"}, "exit code 1"),
    ({"closing": "Something did not."}, "does not say"),
    ({"end": "step 3"}, "of 2 steps it told: 1 2 3"),
    ({"lines": 23}, "step 1 (25 rows)"),
    ({"end": "sleep 6"}, "s, more than 5"),
    ({"end": "mkdir $TMPDIR/vsm-1"}, "temporary folder: vsm-1"),
    ({"end": "sleep 60 &"}, "still running: sleep"),
])
def test_demo_that_is_not(tree, wrong, words):
    done = check_demo(tree, **wrong)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "12 passed, 2 failed"
    assert done.stderr.count(words) == 2, done.stderr


def test_firmware_that_qemu_looks_for_is_there():
    """Debian's packages have moved some of it between releases."""
    folder = paths.BUILD / "qemu/qemu-bundle/usr/local/share/qemu-firmware"
    there = {path.name for path in folder.iterdir() if path.exists()}
    assert there == {path.name for path in folder.iterdir()}
    assert {"bios-256k.bin", "vgabios-stdvga.bin", "linuxboot_dma.bin",
            "kvmvapic.bin", "efi-virtio.rom", "efi-e1000e.rom"} <= there


def test_two_who_need_the_guest_build_it_once(tmp_path):
    """As the two modes of these tests do, side by side."""
    paths.guest_file("cloud", "initrd")
    shutil.copytree(paths.BUILD / "guest/deb", tmp_path / "deb")
    builds = [subprocess.Popen(
        [ROOT / "tests/guest/build-guest", "--out", tmp_path],
        stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [build.communicate(timeout=300)[0] for build in builds]
    assert [build.returncode for build in builds] == [0, 0]
    assert sum("unpacking" in text for text in said) == 1
    assert (tmp_path / "cloud/initrd").stat().st_size > 0
