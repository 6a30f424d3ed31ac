//! about: posix_spawn over and over, which is a clone that shares the memory for a moment.
//! map: varies
#include "target.h"
#include <spawn.h>
#include <sys/wait.h>
extern char **environ;
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
int probe(void) { return answer(1) - 1; }
static void *spawning(void *unused) {
  char *words[] = {(char *)"true", NULL};
  for (;; usleep(500)) {
    pid_t child;
    int status = 0, error = posix_spawn(&child, "/bin/true", NULL, NULL, words, environ);
    if (error != 0) fault("posix_spawn", error);
    else if (waitpid(child, &status, 0) != child) fault("waitpid", errno);
    else if (status != 0) fault("the program", 0);
    check(probe());
  }
  return unused;
}
void start(int count, char **words) { start_thread(spawning); start_thread(probing_rarely); }
