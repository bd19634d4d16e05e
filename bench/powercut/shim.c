/* A power cut for a real process: LD_PRELOADed, it notes how to undo every change below one directory that has not
 * been synced. Reads, caches and maps see the files as they are; nothing is faked while the process runs. After
 * kill -9 the rig (src/powercut/restore.rs) takes a part of the unsynced changes back, as a power cut does with what
 * was only in the page cache.
 *
 * Environment:
 *   POWERCUT_DIR          absolute, resolved path; changes below it are noted
 *   POWERCUT_JOURNAL      the journal (made by the rig, outside that directory)
 *   POWERCUT_TRASH        a directory on the same file system; deleted files wait there, since a deletion is a change
 *   POWERCUT_IGNORE_SYNC  "1": fsync and fdatasync lie (the negative control)
 *   POWERCUT_SYNC_US      what a sync costs, microseconds
 *
 * Order: the record is in the journal before the change is made, a sync's record before the call returns. Both are
 * under one lock, so the journal's order is the order of the changes. A torn last record is a change that was not made.
 *
 * Journal record, host byte order, then path1, path2, data:
 *   u32 magic, u32 kind, u64 object (inode), u64 offset, u64 size, u64 extent, u32 len(path1), u32 len(path2), u64 len(data)
 *   WRITE   object file    offset        size before   extent = bytes to be written   data = old bytes in their place
 *   RESIZE  object file    offset = new  size before                                  data = old bytes beyond the new end
 *   SYNC    object file or directory
 *   CREATE  object directory   path1 new name                    RENAME object directory  path1 from, path2 to, data = trash of an overwritten target
 *   UNLINK  object directory   path1 name, path2 trash name      MKDIR, RMDIR object directory  path1 name
 *
 * What it does not model, and therefore refuses (abort): O_SYNC/O_DSYNC, writable shared maps, io_uring below the
 * directory. copy_file_range and sendfile answer ENOSYS/EINVAL, so that callers fall back to write. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <pthread.h>
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

enum { WRITE = 1, RESIZE, SYNC, CREATE, RENAME, UNLINK, MKDIR, RMDIR };
enum { MAGIC = 0x50435554, INODES = 1 << 16 };

struct record {
    uint32_t magic, kind;
    uint64_t object, offset, size, extent;
    uint32_t path1, path2;
    uint64_t data;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX], trash[PATH_MAX];
static size_t root_length;
static dev_t device;
static int journal = -1, ignore_sync, sync_us;
static uint64_t known[INODES]; /* inodes of files below the directory; 0 is free */
static unsigned trashed;

static void die(const char *why) {
    const char *parts[] = {"powercut shim: ", why, "\n"};
    for (int i = 0; i < 3; i++) syscall(SYS_write, 2, parts[i], strlen(parts[i]));
    abort();
}

__attribute__((constructor)) static void begin(void) {
    const char *dir = getenv("POWERCUT_DIR"), *path = getenv("POWERCUT_JOURNAL"), *bin = getenv("POWERCUT_TRASH");
    if (!dir || !path || !bin) return;
    const char *lie = getenv("POWERCUT_IGNORE_SYNC"), *cost = getenv("POWERCUT_SYNC_US");
    struct stat st;
    if (stat(dir, &st)) die("POWERCUT_DIR does not exist");
    device = st.st_dev;
    ignore_sync = lie && *lie == '1';
    sync_us = cost ? atoi(cost) : 0;
    snprintf(root, sizeof root, "%s", dir);
    snprintf(trash, sizeof trash, "%s", bin);
    root_length = strlen(root);
    journal = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (journal < 0) die("the journal cannot be opened");
}

static void note(int kind, uint64_t object, uint64_t offset, uint64_t size, uint64_t extent, const char *path1,
                 const char *path2, const void *data, size_t length) {
    struct record r = {MAGIC, kind, object, offset, size, extent, path1 ? strlen(path1) : 0, path2 ? strlen(path2) : 0, length};
    struct iovec parts[4] = {{&r, sizeof r}, {(void *)path1, r.path1}, {(void *)path2, r.path2}, {(void *)data, length}};
    ssize_t whole = sizeof r + r.path1 + r.path2 + length;
    if (syscall(SYS_writev, journal, parts, 4) != whole) die("the journal cannot be written");
}

static int remember(uint64_t inode, int add) {
    for (unsigned i = 0, at = inode % INODES; i < INODES; i++, at = (at + 1) % INODES) {
        if (known[at] == inode) return 1;
        if (known[at] == 0) {
            if (add) known[at] = inode;
            return add;
        }
    }
    die("too many files");
    return 0;
}

/* Is this descriptor a regular file below the directory? Caller holds the lock. */
static int tracked(int fd, struct stat *st) {
    if (journal < 0 || fstat(fd, st) || !S_ISREG(st->st_mode) || st->st_dev != device) return 0;
    return remember(st->st_ino, 0);
}

/* The absolute path with its parent resolved, if it lies below the directory; and the parent's inode. */
static int below(int dirfd, const char *path, char *out, uint64_t *parent) {
    if (journal < 0 || !path) return 0;
    char whole[PATH_MAX * 2], base[PATH_MAX], resolved[PATH_MAX];
    if (*path == '/') {
        snprintf(whole, sizeof whole, "%s", path);
    } else {
        if (dirfd == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return 0;
        } else {
            char link[64];
            snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
            ssize_t n = readlink(link, base, sizeof base - 1);
            if (n < 0) return 0;
            base[n] = 0;
        }
        snprintf(whole, sizeof whole, "%s/%s", base, path);
    }
    for (size_t n = strlen(whole); n > 1 && whole[n - 1] == '/'; n--) whole[n - 1] = 0;
    char *slash = strrchr(whole, '/');
    if (!slash || !slash[1]) return 0;
    *slash = 0;
    if (!realpath(*whole ? whole : "/", resolved)) return 0;
    if (strncmp(resolved, root, root_length) || (resolved[root_length] && resolved[root_length] != '/')) return 0;
    struct stat st;
    if (stat(resolved, &st)) return 0;
    *parent = st.st_ino;
    return snprintf(out, PATH_MAX, "%s/%s", resolved, slash + 1) < PATH_MAX;
}

/* Old bytes in [offset, end): through a descriptor of our own, the caller's may be write-only or O_DIRECT. */
static void *old_bytes(int fd, uint64_t offset, uint64_t end, size_t *length) {
    *length = 0;
    if (offset >= end) return NULL;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int reader = syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC, 0);
    char *bytes = malloc(end - offset);
    if (reader < 0 || !bytes) die("old bytes cannot be read");
    while (*length < end - offset) {
        ssize_t n = pread(reader, bytes + *length, end - offset - *length, offset + *length);
        if (n <= 0) break;
        *length += n;
    }
    syscall(SYS_close, reader);
    return bytes;
}

static void note_write(int fd, const struct stat *st, uint64_t offset, uint64_t extent) {
    uint64_t size = st->st_size, end = offset + extent < size ? offset + extent : size;
    size_t length;
    void *old = old_bytes(fd, offset, end, &length);
    note(WRITE, st->st_ino, offset, size, extent, NULL, NULL, old, length);
    free(old);
}

static void note_resize(int fd, const struct stat *st, uint64_t to) {
    size_t length;
    void *old = old_bytes(fd, to, st->st_size, &length);
    note(RESIZE, st->st_ino, to, st->st_size, 0, NULL, NULL, old, length);
    free(old);
}

/* ---- data ---- */

static uint64_t position(int fd, const struct stat *st) {
    if (fcntl(fd, F_GETFL) & O_APPEND) return st->st_size;
    off_t at = lseek(fd, 0, SEEK_CUR);
    return at < 0 ? 0 : at;
}

#define UNDER_LOCK(fd, noted, call)                        \
    struct stat st;                                        \
    pthread_mutex_lock(&lock);                             \
    if (tracked(fd, &st)) noted;                           \
    long result = call;                                    \
    int saved = errno;                                     \
    pthread_mutex_unlock(&lock);                           \
    errno = saved;                                         \
    return result

ssize_t write(int fd, const void *buf, size_t n) {
    UNDER_LOCK(fd, note_write(fd, &st, position(fd, &st), n), syscall(SYS_write, fd, buf, n));
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t at) {
    UNDER_LOCK(fd, note_write(fd, &st, at, n), syscall(SYS_pwrite64, fd, buf, n, at));
}
ssize_t pwrite64(int fd, const void *buf, size_t n, off_t at) { return pwrite(fd, buf, n, at); }

static uint64_t total(const struct iovec *iov, int count) {
    uint64_t sum = 0;
    for (int i = 0; i < count; i++) sum += iov[i].iov_len;
    return sum;
}

ssize_t writev(int fd, const struct iovec *iov, int count) {
    UNDER_LOCK(fd, note_write(fd, &st, position(fd, &st), total(iov, count)), syscall(SYS_writev, fd, iov, count));
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t at) {
    UNDER_LOCK(fd, note_write(fd, &st, at, total(iov, count)), syscall(SYS_pwritev, fd, iov, count, at, 0));
}
ssize_t pwritev64(int fd, const struct iovec *iov, int count, off_t at) { return pwritev(fd, iov, count, at); }

int ftruncate(int fd, off_t to) { UNDER_LOCK(fd, note_resize(fd, &st, to), syscall(SYS_ftruncate, fd, to)); }
int ftruncate64(int fd, off_t to) { return ftruncate(fd, to); }

int fallocate(int fd, int mode, off_t at, off_t n) {
    uint64_t end = (uint64_t)at + n;
    UNDER_LOCK(fd, {
        if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) die("an unknown fallocate mode");
        if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) note_write(fd, &st, at, n);
        else if (!(mode & FALLOC_FL_KEEP_SIZE) && end > (uint64_t)st.st_size) note_resize(fd, &st, end);
    }, syscall(SYS_fallocate, fd, mode, at, n));
}
int fallocate64(int fd, int mode, off_t at, off_t n) { return fallocate(fd, mode, at, n); }
int posix_fallocate(int fd, off_t at, off_t n) { return fallocate(fd, 0, at, n) ? errno : 0; }
int posix_fallocate64(int fd, off_t at, off_t n) { return posix_fallocate(fd, at, n); }

ssize_t copy_file_range(int in, off_t *in_at, int out, off_t *out_at, size_t n, unsigned flags) {
    (void)in, (void)in_at, (void)out, (void)out_at, (void)n, (void)flags;
    errno = ENOSYS;
    return -1;
}

void *mmap(void *where, size_t n, int protection, int flags, int fd, off_t at) {
    struct stat st;
    if (fd >= 0 && (flags & MAP_SHARED) && (protection & PROT_WRITE)) {
        pthread_mutex_lock(&lock);
        if (tracked(fd, &st)) die("a writable shared map is not modelled");
        pthread_mutex_unlock(&lock);
    }
    return (void *)syscall(SYS_mmap, where, n, protection, flags, fd, at);
}
void *mmap64(void *where, size_t n, int protection, int flags, int fd, off_t at) {
    return mmap(where, n, protection, flags, fd, at);
}

static int synced(int fd) {
    struct stat st;
    if (journal < 0) return -1;
    if (fstat(fd, &st)) return 0;
    if (sync_us) usleep(sync_us);
    pthread_mutex_lock(&lock);
    /* The record may be written after the wait: more is durable then than the call promised, never less. */
    if (!ignore_sync && st.st_dev == device) note(SYNC, st.st_ino, 0, 0, 0, NULL, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
    return 0;
}

int fsync(int fd) { return synced(fd) < 0 ? syscall(SYS_fsync, fd) : 0; }
int fdatasync(int fd) { return synced(fd) < 0 ? syscall(SYS_fdatasync, fd) : 0; }

/* ---- names ---- */

static int opened(int dirfd, const char *path, int flags, mode_t mode) {
    char whole[PATH_MAX];
    uint64_t parent;
    if (journal < 0 || !below(dirfd, path, whole, &parent)) return syscall(SYS_openat, dirfd, path, flags, mode);
    int writes = (flags & O_ACCMODE) != O_RDONLY;
    if (writes && (flags & (O_SYNC | O_DSYNC))) die("O_SYNC and O_DSYNC are not modelled");
    if ((flags & O_TMPFILE) == O_TMPFILE) die("O_TMPFILE is not modelled");
    struct stat st;
    pthread_mutex_lock(&lock);
    int fresh = lstat(whole, &st) != 0;
    if (fresh && (flags & O_CREAT)) note(CREATE, parent, 0, 0, 0, whole, NULL, NULL, 0);
    if (!fresh && (flags & O_TRUNC) && S_ISREG(st.st_mode) && st.st_size > 0) {
        int reader = syscall(SYS_openat, AT_FDCWD, whole, O_RDONLY | O_CLOEXEC, 0);
        if (reader >= 0) {
            note_resize(reader, &st, 0);
            syscall(SYS_close, reader);
        }
    }
    int fd = syscall(SYS_openat, dirfd, path, flags, mode);
    int saved = errno;
    if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode)) remember(st.st_ino, 1);
    pthread_mutex_unlock(&lock);
    errno = saved;
    return fd;
}

#define MODE_OF(flags, last)                               \
    mode_t mode = 0;                                       \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                 \
        va_list list;                                      \
        va_start(list, last);                              \
        mode = va_arg(list, mode_t);                       \
        va_end(list);                                      \
    }

int open(const char *path, int flags, ...) { MODE_OF(flags, flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_OF(flags, flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int dirfd, const char *path, int flags, ...) { MODE_OF(flags, flags) return opened(dirfd, path, flags, mode); }
int openat64(int dirfd, const char *path, int flags, ...) { MODE_OF(flags, flags) return opened(dirfd, path, flags, mode); }
int creat(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

static void trash_name(char *out) { snprintf(out, PATH_MAX + 64, "%s/%d-%u", trash, getpid(), trashed++); }

int renameat2(int fromfd, const char *from, int tofd, const char *to, unsigned flags) {
    char old[PATH_MAX], fresh[PATH_MAX], bin[PATH_MAX + 64] = "";
    uint64_t from_parent, to_parent;
    if (journal < 0 || !below(tofd, to, fresh, &to_parent) || !below(fromfd, from, old, &from_parent))
        return syscall(SYS_renameat2, fromfd, from, tofd, to, flags);
    struct stat st;
    pthread_mutex_lock(&lock);
    if (!lstat(fresh, &st) && S_ISREG(st.st_mode)) {
        trash_name(bin);
        if (syscall(SYS_linkat, AT_FDCWD, fresh, AT_FDCWD, bin, 0)) die("an overwritten file cannot be kept");
    }
    note(RENAME, to_parent, 0, 0, 0, old, fresh, bin, strlen(bin));
    int result = syscall(SYS_renameat2, fromfd, from, tofd, to, flags), saved = errno;
    pthread_mutex_unlock(&lock);
    errno = saved;
    return result;
}
int rename(const char *from, const char *to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int fromfd, const char *from, int tofd, const char *to) { return renameat2(fromfd, from, tofd, to, 0); }

int unlinkat(int dirfd, const char *path, int flags) {
    char whole[PATH_MAX], bin[PATH_MAX + 64];
    uint64_t parent;
    struct stat st;
    if (journal < 0 || !below(dirfd, path, whole, &parent) || lstat(whole, &st)) return syscall(SYS_unlinkat, dirfd, path, flags);
    pthread_mutex_lock(&lock);
    int result;
    if (flags & AT_REMOVEDIR) {
        note(RMDIR, parent, 0, 0, 0, whole, NULL, NULL, 0);
        result = syscall(SYS_unlinkat, dirfd, path, flags);
    } else {
        trash_name(bin);
        note(UNLINK, parent, 0, 0, 0, whole, bin, NULL, 0);
        result = syscall(SYS_renameat2, AT_FDCWD, whole, AT_FDCWD, bin, 0);
    }
    int saved = errno;
    pthread_mutex_unlock(&lock);
    errno = saved;
    return result;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path) {
    struct stat st;
    return unlinkat(AT_FDCWD, path, !lstat(path, &st) && S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
}

int linkat(int fromfd, const char *from, int tofd, const char *to, int flags) {
    char whole[PATH_MAX];
    uint64_t parent;
    pthread_mutex_lock(&lock);
    if (journal >= 0 && below(tofd, to, whole, &parent)) note(CREATE, parent, 0, 0, 0, whole, NULL, NULL, 0);
    int result = syscall(SYS_linkat, fromfd, from, tofd, to, flags), saved = errno;
    pthread_mutex_unlock(&lock);
    errno = saved;
    return result;
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int mkdirat(int dirfd, const char *path, mode_t mode) {
    char whole[PATH_MAX];
    uint64_t parent;
    struct stat st;
    pthread_mutex_lock(&lock);
    if (journal >= 0 && below(dirfd, path, whole, &parent) && lstat(whole, &st)) note(MKDIR, parent, 0, 0, 0, whole, NULL, NULL, 0);
    int result = syscall(SYS_mkdirat, dirfd, path, mode), saved = errno;
    pthread_mutex_unlock(&lock);
    errno = saved;
    return result;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
