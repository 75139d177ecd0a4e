/* Ends a command when a signal asks for it, whatever the command is doing: a thread that needs neither Python nor its
 * lock, so that no import, pass, solver or simulation can keep it waiting.
 *
 * Python's signal handlers write the number of the signal to a pipe. The thread reads it, says so in one line, kills
 * the child processes, removes the temporary files that interrupts.py has announced here, and ends the process with the
 * status 128 + the signal. Python's main thread calls everything else; it stays in its handler meanwhile.
 */
#define _XOPEN_SOURCE 700
#define _DARWIN_C_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  PLACES = 64,           /* files and folders that can be announced at a time, and child processes */
  PATH_BYTES = 4096,     /* of one, with the 0 at its end */
  FOLDERS_OPEN = 16,     /* while a folder is removed */
  TRIES = 200,           /* to find nothing held, or a folder left alone by processes that are being killed */
  MILLISECOND = 1000000, /* in nanoseconds */
};

static char paths[PLACES][PATH_BYTES];
static int path_is_used[PLACES]; /* these four are written by one thread and read by the other */
static pid_t children[PLACES];   /* each the leader of a process group; 0: none */
static int holds;                /* how many blocks there are that a signal must not cut short */
static int signals_fd;
static char command[64];

static void pause_briefly(void) {
  struct timespec time = {0, 2 * MILLISECOND};
  nanosleep(&time, NULL);
}

static int remove_entry(const char *path, const struct stat *facts, int kind, struct FTW *position) {
  (void)facts, (void)kind, (void)position;
  remove(path);
  return 0;
}

static void remove_tree(const char *path) {
  for (int k = 0; k < TRIES; ++k) {
    nftw(path, remove_entry, FOLDERS_OPEN, FTW_DEPTH | FTW_PHYS);
    if (access(path, F_OK))
      return;
    pause_briefly();
  }
}

static void kill_children(void) {
  for (int k = 0; k < PLACES; ++k) {
    pid_t child = __atomic_load_n(&children[k], __ATOMIC_ACQUIRE);
    if (child) {
      kill(-child, SIGKILL);
      waitpid(child, NULL, 0);
    }
  }
}

static void end_process(int number) {
  const char *what = number == SIGTERM ? "terminated" : number == SIGHUP ? "terminal closed" : "interrupted";
  const char *restore = isatty(STDERR_FILENO) ? "\033[?25h\r\033[K" : ""; /* a progress bar hides the cursor */
  char line[128];
  int size = snprintf(line, sizeof line, "%s%s: %s\n", restore, command, what);
  if (write(STDERR_FILENO, line, (size_t)size) < 0) { /* nobody is there to read it */
  }
  int nowhere = open("/dev/null", O_WRONLY); /* what other threads say from now on is about being interrupted */
  if (nowhere >= 0) {
    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
  }
  for (int k = 0; k < TRIES && __atomic_load_n(&holds, __ATOMIC_ACQUIRE); ++k)
    pause_briefly();
  kill_children();
  for (int k = 0; k < PLACES; ++k)
    if (__atomic_load_n(&path_is_used[k], __ATOMIC_ACQUIRE))
      remove_tree(paths[k]);
  _exit(128 + number);
}

static void *wait_for_signal(void *unused) {
  for (;;) {
    unsigned char number;
    ssize_t size = read(signals_fd, &number, 1);
    if (size == 1 && (number == SIGINT || number == SIGTERM || number == SIGHUP))
      end_process(number);
    if (size == 0 || (size < 0 && errno != EINTR))
      return unused;
  }
}

/* Start the thread. fd: where the numbers of signals can be read. name: begins the line. Returns 0 or an errno. */
int htvm_interrupts_start(int fd, const char *name) {
  signals_fd = fd;
  snprintf(command, sizeof command, "%s", name);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before); /* the thread takes no signals itself */
  pthread_t thread;
  int error = pthread_create(&thread, NULL, wait_for_signal, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error;
}

/* Announce a file or folder, by its absolute path, before it is made. Returns its place, -1 if there is none left. */
int htvm_interrupts_add_path(const char *path) {
  if (strlen(path) >= PATH_BYTES)
    return -1;
  for (int k = 0; k < PLACES; ++k)
    if (!path_is_used[k]) {
      strcpy(paths[k], path);
      __atomic_store_n(&path_is_used[k], 1, __ATOMIC_RELEASE);
      return k;
    }
  return -1;
}

void htvm_interrupts_drop_path(int place) { __atomic_store_n(&path_is_used[place], 0, __ATOMIC_RELEASE); }

/* Begin a block that a signal waits for, or end one: 1 or -1. */
void htvm_interrupts_hold(int more) { __atomic_add_fetch(&holds, more, __ATOMIC_ACQ_REL); }

/* Announce a child process that leads a group, while a block is held. Returns its place, -1 if there is none left. */
int htvm_interrupts_add_child(pid_t child) {
  for (int k = 0; k < PLACES; ++k)
    if (!children[k]) {
      __atomic_store_n(&children[k], child, __ATOMIC_RELEASE);
      return k;
    }
  return -1;
}

void htvm_interrupts_drop_child(int place) { __atomic_store_n(&children[place], 0, __ATOMIC_RELEASE); }
