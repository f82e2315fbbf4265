/* Loaded before a program (LD_PRELOAD), makes the CUSTOS_FAIL_SYNC-th fdatasync of a log's segment fail once with EIO, as
   a dying disk does. Every other sync is the real one: a program that tries again would be told that all is well. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_long seen;

int fdatasync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    const char *nth = getenv("CUSTOS_FAIL_SYNC");
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (nth && length > 0) {
        path[length] = 0;
        if (strstr(path, ".seg") && atomic_fetch_add(&seen, 1) + 1 == atol(nth)) {
            errno = EIO;
            return -1;
        }
    }
    return real(fd);
}
