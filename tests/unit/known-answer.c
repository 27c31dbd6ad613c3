/*
 * The files of tests/fixtures: bytes that a format must come to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "known-answer.h"

GBytes *known_answer(const char *name)
{
    g_autofree char *path =
        g_test_build_filename(G_TEST_DIST, "..", "fixtures", name, NULL);
    g_autoptr(GError) error = NULL;
    char *data = NULL;
    gsize bytes = 0;

    g_file_get_contents(path, &data, &bytes, &error);
    g_assert_no_error(error);
    return g_bytes_new_take(data, bytes);
}

void assert_bytes(GBytes *a, GBytes *b)
{
    g_assert_cmpmem(g_bytes_get_data(a, NULL), g_bytes_get_size(a),
                    g_bytes_get_data(b, NULL), g_bytes_get_size(b));
}
