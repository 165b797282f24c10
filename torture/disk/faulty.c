/* A disk that fails, for one process and those it starts: preloaded before the C library.
 *
 * A file that FAULTY_CONTROL names is mapped and says what fails, where and when; see control.py,
 * which lays it out. What is written below the folder is also recorded, one line for each call, so
 * that the order of writing, flushing and renaming can be looked at afterwards.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN = 1, WRITE = 2, FLUSH = 4, RENAME = 8, TRUNCATE = 16, MKDIR = 32, REMOVE = 64 };

struct control {
    int32_t error;     /* errno of a call that fails; 0 for none */
    int32_t delay_us;  /* each call takes so much longer */
    uint32_t calls;    /* which kinds of calls fail, slow down and count */
    int32_t stays;     /* 1: all further ones fail as well, as on a full disk */
    int64_t at;        /* the number of the first that fails, from 1; 0 for none */
    int64_t count;     /* such calls so far */
    int64_t failed;    /* of these so many have failed */
    int64_t of_kind[7]; /* calls of each kind so far, whatever fails */
    char below[1024];  /* folder */
    char record[1024]; /* file that gets the lines; empty for none */
};

static struct control *control;

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("FAULTY_CONTROL");
    if (name == NULL) return;
    int file = (int)syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC);
    if (file < 0) return;
    void *place = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (place != MAP_FAILED) control = place;
    syscall(SYS_close, file);
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (real == NULL) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static int is_below(const char *path) {
    size_t length = strlen(control->below);
    return length && strncmp(path, control->below, length) == 0 &&
           (path[length] == '/' || path[length] == '\0');
}

/* The whole path of a name, in a folder that is open. */
static const char *whole(int folder, const char *name, char *place) {
    if (name[0] == '/') return name;
    char link[64];
    if (folder == AT_FDCWD)
        strcpy(link, "/proc/self/cwd");
    else
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t length = readlink(link, place, PATH_MAX - 2);
    if (length < 0) return name;
    place[length] = '/';
    strncpy(place + length + 1, name, PATH_MAX - length - 2);
    place[PATH_MAX - 1] = '\0';
    return place;
}

static const char *of_handle(int file, char *place) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, place, PATH_MAX - 1);
    place[length < 0 ? 0 : length] = '\0';
    return place;
}

static void record(const char *call, const char *path, const char *other) {
    if (!control->record[0]) return;
    int kept = errno;
    char line[2 * PATH_MAX + 64];
    int length = snprintf(line, sizeof line, "%s\t%s\t%s\n", call, path, other);
    int file = (int)syscall(SYS_openat, AT_FDCWD, control->record,
                            O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (file >= 0) {
        syscall(SYS_write, file, line, (size_t)length);
        syscall(SYS_close, file);
    }
    errno = kept;
}

/* Whether a call is to fail; errno is set then. */
static int fails(uint32_t kind, const char *path) {
    if (control == NULL || !is_below(path)) return 0;
    __atomic_add_fetch(&control->of_kind[__builtin_ctz(kind)], 1, __ATOMIC_SEQ_CST);
    if (!(control->calls & kind)) return 0;
    if (control->delay_us) usleep((useconds_t)control->delay_us);
    int64_t number = __atomic_add_fetch(&control->count, 1, __ATOMIC_SEQ_CST);
    if (!control->error || !control->at || number < control->at) return 0;
    if (number > control->at && !control->stays) return 0;
    __atomic_add_fetch(&control->failed, 1, __ATOMIC_SEQ_CST);
    errno = control->error;
    return 1;
}

static int is_watched(const char *path) { return control != NULL && is_below(path); }

static int may_open(int folder, const char *name, int flags) {
    if (control == NULL || !(flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC))) return 1;
    char place[PATH_MAX];
    const char *path = whole(folder, name, place);
    /* A full disk has no room for a new file, but opens one that is there. */
    int is_there = control->error == ENOSPC && access(path, F_OK) == 0;
    if (!is_there && fails(OPEN, path)) return 0;
    if (is_watched(path) && (flags & (O_CREAT | O_TRUNC)))
        record(flags & O_TRUNC ? "truncate" : "open", path, "");
    return 1;
}

#define MODE \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

int open(const char *name, int flags, ...) {
    MODE REAL(open);
    return may_open(AT_FDCWD, name, flags) ? real(name, flags, mode) : -1;
}

int open64(const char *name, int flags, ...) {
    MODE REAL(open64);
    return may_open(AT_FDCWD, name, flags) ? real(name, flags, mode) : -1;
}

int openat(int folder, const char *name, int flags, ...) {
    MODE REAL(openat);
    return may_open(folder, name, flags) ? real(folder, name, flags, mode) : -1;
}

int openat64(int folder, const char *name, int flags, ...) {
    MODE REAL(openat64);
    return may_open(folder, name, flags) ? real(folder, name, flags, mode) : -1;
}

FILE *fopen(const char *name, const char *how) {
    REAL(fopen);
    int flags = how[0] == 'r' && !strchr(how, '+') ? 0 : O_WRONLY | O_CREAT;
    return may_open(AT_FDCWD, name, flags) ? real(name, how) : NULL;
}

FILE *fopen64(const char *name, const char *how) {
    REAL(fopen64);
    int flags = how[0] == 'r' && !strchr(how, '+') ? 0 : O_WRONLY | O_CREAT;
    return may_open(AT_FDCWD, name, flags) ? real(name, how) : NULL;
}

/* How many bytes a write may take: all, -1, or the half that a disk had room for yet. */
static ssize_t room(int file, size_t size) {
    if (control == NULL) return (ssize_t)size;
    char place[PATH_MAX];
    const char *path = of_handle(file, place);
    if (!is_watched(path)) return (ssize_t)size;
    record("write", path, "");
    if (!fails(WRITE, path)) return (ssize_t)size;
    int is_first = control->failed == 1 && control->stays;
    if (control->error == ENOSPC && is_first && size > 1) return (ssize_t)(size / 2);
    return -1;
}

ssize_t write(int file, const void *bytes, size_t size) {
    REAL(write);
    ssize_t most = room(file, size);
    return most < 0 ? -1 : real(file, bytes, (size_t)most);
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t place) {
    REAL(pwrite);
    ssize_t most = room(file, size);
    return most < 0 ? -1 : real(file, bytes, (size_t)most, place);
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t place) {
    REAL(pwrite64);
    ssize_t most = room(file, size);
    return most < 0 ? -1 : real(file, bytes, (size_t)most, place);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    REAL(writev);
    return room(file, 1) < 0 ? -1 : real(file, parts, count);
}

ssize_t pwritev(int file, const struct iovec *parts, int count, off_t place) {
    REAL(pwritev);
    return room(file, 1) < 0 ? -1 : real(file, parts, count, place);
}

size_t fwrite(const void *bytes, size_t size, size_t count, FILE *stream) {
    REAL(fwrite);
    return room(fileno(stream), 1) < 0 ? 0 : real(bytes, size, count, stream);
}

static int flushed(int file, int (*real)(int)) {
    char place[PATH_MAX];
    const char *path = control == NULL ? "" : of_handle(file, place);
    if (fails(FLUSH, path)) return -1;
    int code = real(file);
    if (code == 0 && is_watched(path)) record("flush", path, "");
    return code;
}

int fsync(int file) {
    REAL(fsync);
    return flushed(file, real);
}

int fdatasync(int file) {
    REAL(fdatasync);
    return flushed(file, real);
}

static int may_change(uint32_t kind, const char *call, int folder, const char *name) {
    if (control == NULL) return 1;
    char place[PATH_MAX];
    const char *path = whole(folder, name, place);
    if (fails(kind, path)) return 0;
    if (is_watched(path)) record(call, path, "");
    return 1;
}

static int may_rename(const char *call, int from, const char *old, int to, const char *new) {
    if (control == NULL) return 1;
    char place[PATH_MAX], other[PATH_MAX];
    const char *source = whole(from, old, place), *target = whole(to, new, other);
    if (fails(RENAME, is_below(source) ? source : target)) return 0;
    if (is_below(source) || is_below(target)) record(call, source, target);
    return 1;
}

int rename(const char *old, const char *new) {
    REAL(rename);
    return may_rename("rename", AT_FDCWD, old, AT_FDCWD, new) ? real(old, new) : -1;
}

int renameat(int from, const char *old, int to, const char *new) {
    REAL(renameat);
    return may_rename("rename", from, old, to, new) ? real(from, old, to, new) : -1;
}

int renameat2(int from, const char *old, int to, const char *new, unsigned int flags) {
    REAL(renameat2);
    const char *call = flags & RENAME_EXCHANGE ? "exchange" : "rename";
    return may_rename(call, from, old, to, new) ? real(from, old, to, new, flags) : -1;
}

int link(const char *old, const char *new) {
    REAL(link);
    return may_rename("link", AT_FDCWD, old, AT_FDCWD, new) ? real(old, new) : -1;
}

int linkat(int from, const char *old, int to, const char *new, int flags) {
    REAL(linkat);
    return may_rename("link", from, old, to, new) ? real(from, old, to, new, flags) : -1;
}

static int may_resize(int file) {
    if (control == NULL) return 1;
    char place[PATH_MAX];
    const char *path = of_handle(file, place);
    if (is_watched(path)) record("write", path, "");
    return !fails(TRUNCATE, path);
}

int ftruncate(int file, off_t size) {
    REAL(ftruncate);
    return may_resize(file) ? real(file, size) : -1;
}

int ftruncate64(int file, off64_t size) {
    REAL(ftruncate64);
    return may_resize(file) ? real(file, size) : -1;
}

int posix_fallocate(int file, off_t start, off_t size) {
    REAL(posix_fallocate);
    return may_resize(file) ? real(file, start, size) : errno;
}

int posix_fallocate64(int file, off64_t start, off64_t size) {
    REAL(posix_fallocate64);
    return may_resize(file) ? real(file, start, size) : errno;
}

int mkdir(const char *name, mode_t mode) {
    REAL(mkdir);
    return may_change(MKDIR, "mkdir", AT_FDCWD, name) ? real(name, mode) : -1;
}

int mkdirat(int folder, const char *name, mode_t mode) {
    REAL(mkdirat);
    return may_change(MKDIR, "mkdir", folder, name) ? real(folder, name, mode) : -1;
}

int unlink(const char *name) {
    REAL(unlink);
    return may_change(REMOVE, "remove", AT_FDCWD, name) ? real(name) : -1;
}

int unlinkat(int folder, const char *name, int flags) {
    REAL(unlinkat);
    return may_change(REMOVE, "remove", folder, name) ? real(folder, name, flags) : -1;
}

int rmdir(const char *name) {
    REAL(rmdir);
    return may_change(REMOVE, "remove", AT_FDCWD, name) ? real(name) : -1;
}
