/*
 * Preloaded into QEMU: its wall clock is later than the host's.
 *
 * VSM_WALL_CLOCK names a file that holds by how many seconds, an int64_t; it
 * may change at any time.  The monotonic clock is left alone: what waits for
 * it would wait in the kernel, which knows of nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static _Atomic int64_t *seconds;

__attribute__((constructor)) static void map_file(void)
{
    const char *path = getenv("VSM_WALL_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = mmap(NULL, sizeof(*seconds), PROT_READ, MAP_SHARED, fd, 0);

    if (map == MAP_FAILED) {
        perror("VSM_WALL_CLOCK");
        abort();
    }
    seconds = map;
}

static time_t later(void)
{
    return seconds ? *seconds : 0;
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
    /* Kept: QEMU asks all the time. */
    static int (*next)(clockid_t, struct timespec *);
    int result;

    if (!next) {
        next = dlsym(RTLD_NEXT, "clock_gettime");
    }
    result = next(clock, ret);
    if (clock == CLOCK_REALTIME) {
        ret->tv_sec += later();
    }
    return result;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
    int (*next)(struct timeval *, void *) = dlsym(RTLD_NEXT, "gettimeofday");
    int result = next(ret, zone);

    ret->tv_sec += later();
    return result;
}

time_t time(time_t *ret)
{
    time_t (*next)(time_t *) = dlsym(RTLD_NEXT, "time");
    time_t now = next(NULL) + later();

    if (ret) {
        *ret = now;
    }
    return now;
}
