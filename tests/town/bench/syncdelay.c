/* Delays every fsync and fdatasync by SYNC_DELAY_US microseconds: virtual disks acknowledge them too early. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static int delayed(const char *name, int fd) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  const char *us = getenv("SYNC_DELAY_US");
  if (us) usleep((useconds_t)atoi(us));
  return real(fd);
}

int fsync(int fd) { return delayed("fsync", fd); }
int fdatasync(int fd) { return delayed("fdatasync", fd); }
