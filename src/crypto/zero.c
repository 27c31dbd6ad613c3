/*
 * Whether memory is all zero, at memory speed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "crypto/hash.h"

/* 64 bytes at any address; the compiler cuts it to the target's registers. */
typedef guint64 Wide __attribute__((vector_size(64), aligned(1), may_alias));

/* Bytes looked at between two decisions. */
#define STEP 256

static inline __attribute__((always_inline)) bool is_zero_steps(const guint8 *p,
                                                                gsize bytes)
{
    for (gsize i = 0; i < bytes; i += STEP) {
        const Wide *w = (const Wide *)(p + i);
        Wide any = w[0] | w[1] | w[2] | w[3];
        guint64 bits = any[0] | any[1] | any[2] | any[3] | any[4] | any[5] |
                       any[6] | any[7];

        if (bits) {
            return false;
        }
    }
    return true;
}

static bool is_zero_plain(const guint8 *p, gsize bytes)
{
    return is_zero_steps(p, bytes);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static bool is_zero_avx2(const guint8 *p,
                                                         gsize bytes)
{
    return is_zero_steps(p, bytes);
}

static bool have_avx2(void)
{
    static gint known; /* atomic; 1: no, 2: yes */
    gint answer = __atomic_load_n(&known, __ATOMIC_RELAXED);

    if (!answer) {
        __builtin_cpu_init();
        answer = __builtin_cpu_supports("avx2") ? 2 : 1;
        __atomic_store_n(&known, answer, __ATOMIC_RELAXED);
    }
    return answer == 2;
}
#endif

bool vsm_is_zero(const void *data, gsize bytes)
{
    const guint8 *p = data;
    gsize steps = bytes - bytes % STEP;

    /* Most pages that hold data show it in the first word. */
    if (bytes >= sizeof(guint64)) {
        guint64 first;

        memcpy(&first, p, sizeof(first));
        if (first) {
            return false;
        }
    }
    for (gsize i = steps; i < bytes; i++) {
        if (p[i]) {
            return false;
        }
    }
#if defined(__x86_64__)
    if (have_avx2()) {
        return is_zero_avx2(p, steps);
    }
#endif
    return is_zero_plain(p, steps);
}
