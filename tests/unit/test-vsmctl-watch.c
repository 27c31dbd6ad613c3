/*
 * vsmctl watch: whose VM it is, and what can be followed.
 *
 * QEMU and virsh are stubs here; the functional tests run the real ones.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp-stub.h"
#include "vsmctl-run.h"

#include <glib/gstdio.h>
#include <string.h>

#define RESULT(result)                                                         \
    "{\"event\": \"VSM_ATTESTED\", \"data\": {\"answer\": {\"operation\": "    \
    "\"watch\", \"snapshot\": \"tag:good\", \"scope\": \"runtime\", "          \
    "\"profile\": \"standard\", \"report\": \"aa.bb.cc\", \"verdict\": "       \
    "{\"tag\": \"good\", \"result\": \"" result "\", \"findings\": [], "       \
    "\"findings-left-out\": 0}}}}"

static void sent(Stub *stub, const char *what)
{
    GPtrArray *lines = stub_received(stub);

    for (guint i = 0; i < lines->len; i++) {
        if (strstr(lines->pdata[i], what)) {
            return;
        }
    }
    g_error("nothing that was sent has '%s'", what);
}

/* As README.md has it: the VM is the environment's. */
static void test_watch_takes_the_environments_vm(void)
{
    static const StubAnswer answers[] = {
        {"vsm-watch", STUB_DONE, RESULT("mismatch"), 0},
        {0},
    };
    g_autofree char *path = in_scratch("watch.sock");
    g_autoptr(Stub) stub = stub_new(path, answers);

    g_setenv("VSM_QMP", path, TRUE);
    {
        g_auto(Run) run = vsmctl("watch", "tag:good", "--every", "7", NULL);

        g_unsetenv("VSM_QMP");
        g_assert_cmpstr(run.err, ==, "");
        g_assert_cmpint(run.code, ==, 1);
        says(run.out, "mismatch");
    }
    sent(stub, "\"snapshot\":\"tag:good\"");
    sent(stub, "\"seconds\":7");
}

static void test_watch_without_a_vm_asks_for_one(void)
{
    g_auto(Run) run = vsmctl("watch", "tag:good", NULL);

    g_assert_cmpint(run.code, ==, 3);
    says(run.err, "VSM_QMP");
}

/* A virsh that keeps its words and answers as QEMU would. */
static char *fake_virsh(void)
{
    g_autofree char *log = in_scratch("virsh.log");
    g_autofree char *text = g_strdup_printf(
        "#!/bin/sh\necho \"$*\" >>'%s'\necho '{\"return\": {}}'\n", log);
    g_autofree char *path = write_file("virsh", text);

    g_assert_cmpint(g_chmod(path, 0700), ==, 0);
    return g_steal_pointer(&log);
}

static void test_watch_of_a_domain_is_switched_and_not_followed(void)
{
    g_autofree char *log = fake_virsh(), *text = NULL;
    g_autofree char *folder = g_path_get_dirname(log);
    g_autofree char *old = g_strdup(g_getenv("PATH"));
    g_autofree char *path = g_strconcat(folder, ":", old, NULL);

    g_setenv("PATH", path, TRUE);
    {
        g_auto(Run) follow = vsmctl("watch", "tag:good", "--domain=vm1", NULL);

        g_assert_cmpint(follow.code, ==, 3);
        says(follow.err, "libvirt brings no events");
        says(follow.err, "--detach");
        /* Nothing was begun that nobody follows. */
        g_assert_false(g_file_test(log, G_FILE_TEST_EXISTS));
    }
    {
        g_auto(Run) on = vsmctl("watch", "tag:good", "--domain=vm1",
                                "--connect=test:///x", "--detach", NULL);
        g_auto(Run) off = vsmctl("watch", "--domain=vm1", "--stop", NULL);

        g_assert_cmpstr(on.err, ==, "");
        g_assert_cmpint(on.code, ==, 0);
        g_assert_cmpint(off.code, ==, 0);
    }
    g_setenv("PATH", old, TRUE);
    g_assert_true(g_file_get_contents(log, &text, NULL, NULL));
    says(text, "--connect=test:///x qemu-monitor-command --domain=vm1 -- "
               "{\"execute\":\"vsm-watch\",\"arguments\":{\"snapshot\":\"tag:"
               "good\",\"seconds\":10}}");
    says(text, "\"seconds\":0");
}

int main(int argc, char **argv)
{
    int rc;

    g_test_init(&argc, &argv, NULL);
    scratch_begin();
    g_test_add_func("/vsmctl-watch/takes-the-environments-vm",
                    test_watch_takes_the_environments_vm);
    g_test_add_func("/vsmctl-watch/without-a-vm-asks-for-one",
                    test_watch_without_a_vm_asks_for_one);
    g_test_add_func("/vsmctl-watch/domain-is-switched-and-not-followed",
                    test_watch_of_a_domain_is_switched_and_not_followed);
    rc = g_test_run();
    scratch_end();
    return rc;
}
