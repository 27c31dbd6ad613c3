/*
 * Acts that the operator signs for: begin, sign here or elsewhere, finish.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vsmctl/operator.h"

#include <stdio.h>
#include <string.h>
#include <vsm/operator.h>

#include "vsmctl/output.h"
#include "vsmctl/vsmctl.h"

/* A little less than a request waits in the host. */
#define WAIT_S 570
#define POLL_US (200 * 1000)

OperatorOptions operator_options;

GBytes *operator_read(const char *path, GError **error)
{
    char *data;
    gsize bytes;

    if (!g_file_get_contents(path, &data, &bytes, error)) {
        return NULL;
    }
    if (bytes > VSM_OPERATOR_BYTES_MAX) {
        g_free(data);
        g_set_error(error, VSM_ERROR, VSM_ERROR_LIMIT,
                    "%s: longer than any request or signature", path);
        return NULL;
    }
    return g_bytes_new_take(data, bytes);
}

bool operator_write(const char *path, GBytes *bytes, GError **error)
{
    gsize size;
    const char *data = g_bytes_get_data(bytes, &size);

    /* Atomic: who waits for the file never reads half of it. */
    return g_file_set_contents(path, data, size, error);
}

json_t *operator_describe(GBytes *request, GError **error)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    json_t *list;

    if (!vsm_operator_describe(request, &text, error)) {
        return NULL;
    }
    list = json_array();
    lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i] && *lines[i]; i++) {
        char *tab = strchr(lines[i], '\t');

        *tab = '\0';
        json_array_append_new(
            list, json_pack("{s:s, s:s}", "what", lines[i], "value", tab + 1));
    }
    return list;
}

bool operator_print(GBytes *request, GError **error)
{
    json_auto_t *list = operator_describe(request, error);
    size_t i;
    json_t *line;

    json_array_foreach(list, i, line)
    {
        vsmctl_print_member(vsmctl_text(line, "what"), line, "value");
    }
    return list != NULL;
}

static void print_begun(void)
{
    if (vsmctl_options.json) {
        json_auto_t *object = json_pack("{s:b, s:s}", "done", 0, "request",
                                        operator_options.begin);

        vsmctl_print_json(object);
    }
}

/* FILE for vsmctl policy sign, FILE.tosign for any other tool. */
static bool write_request(GBytes *request, GError **error)
{
    const char *path = operator_options.begin;
    g_autofree char *raw_path = g_strconcat(path, ".tosign", NULL);
    g_autoptr(GBytes) raw = NULL;

    if (!vsm_operator_to_sign(request, &raw, error) ||
        !operator_write(raw_path, raw, error) ||
        !operator_write(path, request, error)) {
        return false;
    }
    fprintf(stderr,
            "vsmctl: sign it where the operator's key is:\n"
            "          vsmctl policy sign --key KEY %s SIGNATURE\n"
            "        or: openssl dgst -sha256 -sign KEY -out SIGNATURE %s\n"
            "        (-sha384 for a P-384 key)\n",
            path, raw_path);
    return true;
}

static GBytes *wait_for_signature(GError **error)
{
    const char *path = operator_options.finish;
    int wait_s = operator_options.wait ? operator_options.wait : WAIT_S;
    gint64 until = g_get_monotonic_time() + wait_s * (gint64)G_USEC_PER_SEC;

    for (;;) {
        g_autoptr(GBytes) signature = operator_read(path, NULL);

        if (signature && g_bytes_get_size(signature) > 0) {
            return g_steal_pointer(&signature);
        }
        if (g_get_monotonic_time() > until) {
            g_set_error(error, VSM_ERROR, VSM_ERROR_TIMEOUT,
                        "no signature came to %s within %d s: begin anew", path,
                        wait_s);
            return NULL;
        }
        g_usleep(POLL_US);
    }
}

/* Signs here, or has it signed elsewhere; NULL without an error: later. */
static GBytes *sign(const OperatorAct *act, GBytes *request, GError **error)
{
    GBytes *signature = NULL;

    if (operator_options.key) {
        vsm_operator_sign(request, operator_options.key, &signature, error);
        return signature;
    }
    if (!write_request(request, error)) {
        return NULL;
    }
    (void)act;
    return operator_options.finish ? wait_for_signature(error) : NULL;
}

static bool check_options(const OperatorAct *act, GError **error)
{
    const OperatorOptions *o = &operator_options;

    if (o->key ? !o->begin && !o->finish : o->begin && o->finish) {
        return true;
    }
    if (act->stays && !o->key && (o->begin || o->finish)) {
        return true;
    }
    g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                act->stays
                    ? "give --key KEY, or --begin FILE and then --finish FILE"
                    : "give --key KEY, or --begin FILE and --finish FILE "
                      "together: without the daemon a request lives as long as "
                      "this command, which waits for the signature");
    return false;
}

bool operator_run(const OperatorAct *act,
                  gpointer opaque,
                  bool *ret_done,
                  GError **error)
{
    g_autoptr(GBytes) request = NULL;
    g_autoptr(GBytes) signature = NULL;
    g_autoptr(GError) why = NULL;

    *ret_done = false;
    if (!check_options(act, error)) {
        return false;
    }
    if (!operator_options.key && !operator_options.begin) {
        signature = operator_read(operator_options.finish, error);
        *ret_done = signature && act->finish(opaque, signature, error);
        return *ret_done;
    }
    if (operator_options.begin && operator_options.finish &&
        g_file_test(operator_options.finish, G_FILE_TEST_EXISTS)) {
        g_set_error(error, VSM_ERROR, VSM_ERROR_INVALID,
                    "%s exists: no signature over this request can be there "
                    "yet; remove it",
                    operator_options.finish);
        return false;
    }
    if (!act->begin(opaque, &request, error)) {
        return false;
    }
    if (!vsmctl_options.json && !operator_print(request, &why)) {
        g_propagate_error(error, g_steal_pointer(&why));
        act->abort(opaque);
        return false;
    }
    signature = sign(act, request, &why);
    if (!signature && !why) {
        print_begun();
        return true; /* --finish comes later */
    }
    if (!signature) {
        act->abort(opaque);
        g_propagate_error(error, g_steal_pointer(&why));
        return false;
    }
    *ret_done = act->finish(opaque, signature, error);
    if (!*ret_done) {
        act->abort(opaque);
    }
    return *ret_done;
}
