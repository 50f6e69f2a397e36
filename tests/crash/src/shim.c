// Put before the C library (LD_PRELOAD): a disk that fails or forgets, and a clock that jumps, for one process and its files.
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
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
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
static const char *file;      // part of the path of the files it is about
static const char *unsynced;  // the folder for what a power cut could take back of databases

__attribute__((constructor)) static void map(void) {
    file = getenv("SHIM_FILE");
    unsynced = getenv("SHIM_UNSYNCED");
    const char *path = getenv("SHIM_CONTROL");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped != MAP_FAILED) control = mapped;
}

#define PATH_BYTES 4096

static int is_about(int fd, char *path) {
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = file ? readlink(link, path, PATH_BYTES - 1) : -1;
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, file) != NULL;
}

static int fails(int fd, int64_t sync) {
    char path[PATH_BYTES];
    if (!control || !control->error || control->syncs != sync || !is_about(fd, path)) return 0;
    if (__atomic_fetch_sub(&control->calls_before, 1, __ATOMIC_SEQ_CST) > 0) return 0;
    if (__atomic_fetch_sub(&control->calls_failing, 1, __ATOMIC_SEQ_CST) <= 0) return 0;
    errno = (int)control->error;
    return 1;
}

// Where the changes to a file are kept that no fsync has followed.
static void place_of(const struct stat *status, char *place) {
    snprintf(place, PATH_BYTES, "%s/%llu", unsynced, (unsigned long long)status->st_ino);
}

static int is_kept(int fd, char *place, struct stat *status) {
    static const char *const names[] = {".db", "-wal", "-journal"};
    char path[PATH_BYTES];
    if (!unsynced || !is_about(fd, path) || fstat(fd, status)) return 0;
    for (size_t name = 0; name < sizeof names / sizeof *names; name++) {
        size_t end = strlen(names[name]), length = strlen(path);
        if (length < end || strcmp(path + length - end, names[name])) continue;
        place_of(status, place);
        return 1;
    }
    return 0;
}

// A change before it is made: this head, what it writes over, and what it writes.
struct change {
    int64_t at;
    int64_t bytes;  // less than none where the file is cut off
    int64_t bytes_before;
    int64_t size_before;
};

static void keep(int fd, const void *from, int64_t bytes, int64_t at) {
    char place[PATH_BYTES];
    struct stat status;
    if (!is_kept(fd, place, &status)) return;
    int64_t size = status.st_size, end = from && at + bytes < size ? at + bytes : size;
    struct change change = {at, bytes, end > at ? end - at : 0, size};
    void *before = malloc(change.bytes_before + 1);
    int to = open(place, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (to < 0 || !before || pread(fd, before, change.bytes_before, at) != change.bytes_before) abort();
    struct iovec parts[] = {{&change, sizeof change}, {before, change.bytes_before}, {(void *)from, from ? bytes : 0}};
    if (writev(to, parts, 3) < 0) abort();
    close(to);
    free(before);
}

static int synced(int fd, int failed) {
    char place[PATH_BYTES];
    struct stat status;
    if (!failed && is_kept(fd, place, &status)) unlink(place);
    return failed;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int fd) { return fails(fd, 1) ? -1 : synced(fd, REAL(fsync)(fd)); }

int fdatasync(int fd) { return fails(fd, 1) ? -1 : synced(fd, REAL(fdatasync)(fd)); }

ssize_t write(int fd, const void *from, size_t bytes) {
    if (fails(fd, 0)) return -1;
    if (unsynced) keep(fd, from, bytes, lseek(fd, 0, SEEK_CUR));
    return REAL(write)(fd, from, bytes);
}

ssize_t pwrite(int fd, const void *from, size_t bytes, off_t at) {
    if (fails(fd, 0)) return -1;
    keep(fd, from, bytes, at);
    return REAL(pwrite)(fd, from, bytes, at);
}

ssize_t pwrite64(int fd, const void *from, size_t bytes, off64_t at) {
    if (fails(fd, 0)) return -1;
    keep(fd, from, bytes, at);
    return REAL(pwrite64)(fd, from, bytes, at);
}

int ftruncate(int fd, off_t size) {
    keep(fd, NULL, -1, size);
    return REAL(ftruncate)(fd, size);
}

int ftruncate64(int fd, off64_t size) {
    keep(fd, NULL, -1, size);
    return REAL(ftruncate64)(fd, size);
}

// Another file may come to have its number.
int unlink(const char *path) {
    char place[PATH_BYTES];
    struct stat status;
    int known = unsynced && !stat(path, &status);
    int failed = REAL(unlink)(path);
    if (known && !failed) {
        place_of(&status, place);
        REAL(unlink)(place);
    }
    return failed;
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
