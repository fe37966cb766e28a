/* A disk that forgets what was not synchronised: preloaded into a process, it keeps for every file
 * below POWER_DIRECTORY the content of its last fsync or fdatasync, and for every directory the names
 * of its last fsync, in POWER_SHADOW. What the shadow holds is what a power cut leaves behind in the
 * strictest reading: a file is there under its name only if its directory was synchronised after it
 * got the name, and with the content it had when it was itself synchronised last.
 *
 * POWER_SHADOW/data/KEY   the content of a file; KEY is its inode and the time of its birth
 * POWER_SHADOW/names/...  per directory, lines of KEY, a tab and the name
 * POWER_SHADOW/lies       while this file exists, synchronising does nothing
 *
 * Memory-mapped files are not looked at: SQLite's -shm is made anew after a crash.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void fail(const char *what) {
    perror(what);
    abort();
}

/* What names the file behind `fd`, or `name` in it, for as long as it lives. */
static int key_of(int fd, const char *name, char key[64]) {
    struct statx found;
    int flags = AT_SYMLINK_NOFOLLOW | (*name ? 0 : AT_EMPTY_PATH);
    if (statx(fd, name, flags, STATX_INO | STATX_BTIME | STATX_TYPE, &found) != 0) return -1;
    snprintf(key, 64, "%llu-%lld.%u", (unsigned long long)found.stx_ino,
             (long long)found.stx_btime.tv_sec, found.stx_btime.tv_nsec);
    return S_ISDIR(found.stx_mode) ? 1 : S_ISREG(found.stx_mode) ? 0 : -1;
}

/* Written beside, then renamed: whoever reads the shadow after a kill finds it whole. */
static void replace(const char *from, const char *to) {
    if (rename(from, to) != 0) fail("the shadow cannot be written");
}

static void keep_content(int fd, const char *shadow, const char *key) {
    static char buffer[1 << 16];
    char to[PATH_MAX], beside[PATH_MAX], path[64];
    snprintf(to, sizeof to, "%s/data/%s", shadow, key);
    snprintf(beside, sizeof beside, "%s/data/.%s", shadow, key);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int in = open(path, O_RDONLY | O_CLOEXEC);
    int out = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (in < 0 || out < 0) fail("the shadow cannot be opened");
    ssize_t count;
    while ((count = read(in, buffer, sizeof buffer)) > 0)
        if (write(out, buffer, count) != count) fail("the shadow cannot be written");
    if (count < 0) fail("a file cannot be read");
    close(in);
    close(out);
    replace(beside, to);
}

static void keep_names(const char *path, const char *shadow, const char *below) {
    char to[PATH_MAX], beside[PATH_MAX + 8], key[64];
    snprintf(to, sizeof to, "%s/names/root%s", shadow, below);
    for (char *at = to + strlen(shadow) + strlen("/names/root"); *at; at++)
        if (*at == '/') *at = '%';
    snprintf(beside, sizeof beside, "%s.new", to);
    DIR *directory = opendir(path);
    FILE *out = fopen(beside, "we");
    if (!directory || !out) fail("the names cannot be kept");
    for (struct dirent *entry; (entry = readdir(directory));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..") &&
            key_of(dirfd(directory), entry->d_name, key) == 0)
            fprintf(out, "%s\t%s\n", key, entry->d_name);
    closedir(directory);
    if (fclose(out) != 0) fail("the names cannot be written");
    replace(beside, to);
}

static void keep(int fd) {
    const char *directory = getenv("POWER_DIRECTORY"), *shadow = getenv("POWER_SHADOW");
    char link[64], path[PATH_MAX], lies[PATH_MAX], key[64];
    if (!directory || !shadow) return;
    snprintf(lies, sizeof lies, "%s/lies", shadow);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0 || access(lies, F_OK) == 0) return;
    path[length] = 0;
    size_t root = strlen(directory);
    if (strncmp(path, directory, root) != 0 || (path[root] && path[root] != '/')) return;
    int kind = key_of(fd, "", key);
    if (kind == 0) keep_content(fd, shadow, key);
    if (kind == 1) keep_names(path, shadow, path + root);
}

static int synchronise(const char *name, int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    int answer = real(fd), error = errno;
    if (answer == 0) {
        pthread_mutex_lock(&lock);
        keep(fd);
        pthread_mutex_unlock(&lock);
    }
    errno = error;
    return answer;
}

int fsync(int fd) { return synchronise("fsync", fd); }
int fdatasync(int fd) { return synchronise("fdatasync", fd); }
