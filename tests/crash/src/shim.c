// Put before the C library (LD_PRELOAD): a disk that fails and a clock that jumps, for one process and its files.
//
// What is to happen stands in a file that the harness writes and every process maps, so that it can change at any moment.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct control {
    int64_t clock_offset_ns;
    int64_t error;          // what calls fail with; nothing fails if 0
    int64_t syncs;          // whether fsync and fdatasync fail, or else writes
    int64_t calls_before;   // so many calls go well before
    int64_t calls_failing;  // and so many fail then
};

static struct control *control;
static const char *file;  // part of the path of the files it is about

__attribute__((constructor)) static void map(void) {
    file = getenv("SHIM_FILE");
    const char *path = getenv("SHIM_CONTROL");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped != MAP_FAILED) control = mapped;
}

static int fails(int fd, int64_t sync) {
    if (!control || !file || !control->error || control->syncs != sync) return 0;
    char link[32], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (!strstr(path, file)) return 0;
    if (__atomic_fetch_sub(&control->calls_before, 1, __ATOMIC_SEQ_CST) > 0) return 0;
    if (__atomic_fetch_sub(&control->calls_failing, 1, __ATOMIC_SEQ_CST) <= 0) return 0;
    errno = (int)control->error;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int fd) { return fails(fd, 1) ? -1 : REAL(fsync)(fd); }

int fdatasync(int fd) { return fails(fd, 1) ? -1 : REAL(fdatasync)(fd); }

ssize_t write(int fd, const void *from, size_t bytes) { return fails(fd, 0) ? -1 : REAL(write)(fd, from, bytes); }

ssize_t pwrite(int fd, const void *from, size_t bytes, off_t at) {
    return fails(fd, 0) ? -1 : REAL(pwrite)(fd, from, bytes, at);
}

ssize_t pwrite64(int fd, const void *from, size_t bytes, off64_t at) {
    return fails(fd, 0) ? -1 : REAL(pwrite64)(fd, from, bytes, at);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int failed = REAL(clock_gettime)(clock, time);
    if (failed || clock != CLOCK_REALTIME || !control) return failed;
    int64_t now = time->tv_sec * 1000000000LL + time->tv_nsec + control->clock_offset_ns;
    time->tv_sec = now / 1000000000LL;
    time->tv_nsec = now % 1000000000LL;
    return 0;
}

// The clock that SQLite looks at.
int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    int failed = REAL(gettimeofday)(time, zone);
    if (failed || !control) return failed;
    int64_t now = time->tv_sec * 1000000LL + time->tv_usec + control->clock_offset_ns / 1000;
    time->tv_sec = now / 1000000LL;
    time->tv_usec = now % 1000000LL;
    return 0;
}
