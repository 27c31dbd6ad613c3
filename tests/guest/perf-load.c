/*
 * Samples every vCPU, kernel and user, as `perf record -a -g` does on a
 * machine without counters of its own: a clock event each, its samples read
 * from a ring buffer, taken down and set up again each second.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define VCPUS_MAX 64
#define RING_PAGES 8 /* of samples, after the page of their offsets */
#define SAMPLES_PER_SECOND 199

typedef struct Sampler {
    int fd;
    struct perf_event_mmap_page *ring;
} Sampler;

static size_t ring_bytes(void)
{
    return (size_t)(RING_PAGES + 1) * (size_t)sysconf(_SC_PAGESIZE);
}

/* False for a vCPU that is not online */
static bool sampler_open(Sampler *sampler, int vcpu)
{
    struct perf_event_attr attr = {
        .type = PERF_TYPE_SOFTWARE,
        .size = sizeof(attr),
        .config = PERF_COUNT_SW_CPU_CLOCK,
        .freq = 1,
        .sample_freq = SAMPLES_PER_SECOND,
        .sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_CALLCHAIN,
        .mmap = 1,
        .comm = 1,
        .task = 1,
        .context_switch = 1,
    };

    sampler->fd = (int)syscall(SYS_perf_event_open, &attr, -1, vcpu, -1, 0);
    if (sampler->fd < 0) {
        return false;
    }
    sampler->ring = mmap(NULL, ring_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED,
                         sampler->fd, 0);
    if (sampler->ring == MAP_FAILED) {
        close(sampler->fd);
        return false;
    }
    return true;
}

/* Bytes of samples since the last call */
static uint64_t sampler_drain(Sampler *sampler)
{
    uint64_t head =
        __atomic_load_n(&sampler->ring->data_head, __ATOMIC_ACQUIRE);
    uint64_t bytes = head - sampler->ring->data_tail;

    __atomic_store_n(&sampler->ring->data_tail, head, __ATOMIC_RELEASE);
    return bytes;
}

static void sampler_close(Sampler *sampler)
{
    munmap(sampler->ring, ring_bytes());
    close(sampler->fd);
}

/* One second of samples on all vCPUs; their bytes */
static uint64_t sample_once(void)
{
    Sampler samplers[VCPUS_MAX];
    const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
    int count = 0;
    uint64_t bytes = 0;

    for (int vcpu = 0; vcpu < VCPUS_MAX; vcpu++) {
        count += sampler_open(&samplers[count], vcpu);
    }
    for (int round = 0; round < 20; round++) {
        nanosleep(&pause, NULL);
        for (int i = 0; i < count; i++) {
            bytes += sampler_drain(&samplers[i]);
        }
    }
    for (int i = 0; i < count; i++) {
        sampler_close(&samplers[i]);
    }
    return bytes;
}

int main(void)
{
    /* The first second tells whoever started it that there are samples. */
    if (sample_once() == 0) {
        fputs("perf-load: no samples\n", stderr);
        return 1;
    }
    puts("sampling");
    fflush(stdout);
    for (;;) {
        sample_once();
    }
}
