// Preloaded into tl by crash_test.py: something goes wrong at one of the calls by
// which a program changes files. TL_FAULT is what, and at which call, from 1 on:
//   "count PATH"   nothing; the number of calls is written to PATH at the end
//   "kill N"       SIGKILL in place of call N
//   "ENOSPC N"     the disk is full from call N on
//   "EIO N"        call N fails
//   "short N"      write N writes half
// and with TL_NO_TMPFILE set there are no files without a name.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static atomic_long calls;
static char what[16];
static char count_path[4096];
static long at = -1;

__attribute__((constructor)) static void Read(void) {
  const char* fault = getenv("TL_FAULT");
  if (!fault) return;
  if (sscanf(fault, "count %4095s", count_path) == 1) return;
  sscanf(fault, "%15s %ld", what, &at);
}

__attribute__((destructor)) static void WriteCount(void) {
  if (!count_path[0]) return;
  FILE* file = fopen(count_path, "w");
  if (!file) return;
  fprintf(file, "%ld", atomic_load(&calls));
  fclose(file);
}

static int IsFile(int descriptor) {
  struct stat status;
  return fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
}

// Counts a call. Not 0 where it fails, with that error.
static int Fails(void) {
  const long call = atomic_fetch_add(&calls, 1) + 1;
  if (call == at && !strcmp(what, "kill")) kill(getpid(), SIGKILL);
  if (call >= at && at > 0 && !strcmp(what, "ENOSPC")) return errno = ENOSPC;
  if (call == at && !strcmp(what, "EIO")) return errno = EIO;
  return 0;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int descriptor, const void* bytes, size_t size) {
  if (!IsFile(descriptor)) return NEXT(write)(descriptor, bytes, size);
  if (Fails()) return -1;
  if (atomic_load(&calls) == at && !strcmp(what, "short") && size > 1) size /= 2;
  return NEXT(write)(descriptor, bytes, size);
}

int fsync(int descriptor) {
  // Of a directory, too.
  return Fails() ? -1 : NEXT(fsync)(descriptor);
}

int linkat(int from_folder, const char* from, int to_folder, const char* to,
           int flags) {
  return Fails() ? -1 : NEXT(linkat)(from_folder, from, to_folder, to, flags);
}

int rename(const char* from, const char* to) {
  return Fails() ? -1 : NEXT(rename)(from, to);
}

int mkdir(const char* path, mode_t mode) {
  return Fails() ? -1 : NEXT(mkdir)(path, mode);
}

int unlink(const char* path) { return Fails() ? -1 : NEXT(unlink)(path); }

static int Open(const char* path, int flags, mode_t mode,
                int (*next)(const char*, int, ...)) {
  if ((flags & O_TMPFILE) == O_TMPFILE && getenv("TL_NO_TMPFILE")) {
    errno = EOPNOTSUPP;
    return -1;
  }
  const int changes = (flags & O_TMPFILE) == O_TMPFILE || flags & O_CREAT;
  if (changes && Fails()) return -1;
  return next(path, flags, mode);
}

static mode_t ModeOf(int flags, va_list arguments) {
  const int made = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
  return made ? va_arg(arguments, mode_t) : 0;
}

#define OPEN(name)                                \
  int name(const char* path, int flags, ...) {    \
    va_list arguments;                            \
    va_start(arguments, flags);                   \
    const mode_t mode = ModeOf(flags, arguments); \
    va_end(arguments);                            \
    return Open(path, flags, mode, NEXT(name));   \
  }
OPEN(open)
OPEN(open64)
