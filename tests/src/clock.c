// Put before the C library (LD_PRELOAD): a clock that is wrong by CLOCK_OFFSET_MS. Time passes as ever.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t id, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(id, time);
    const char *offset = getenv("CLOCK_OFFSET_MS");
    if (failed || id != CLOCK_REALTIME || !offset) return failed;
    long long ns = time->tv_nsec + atoll(offset) * 1000000LL;
    time->tv_sec += ns / 1000000000LL;
    time->tv_nsec = ns % 1000000000LL;
    if (time->tv_nsec < 0) {
        time->tv_nsec += 1000000000LL;
        time->tv_sec -= 1;
    }
    return 0;
}
