//! about: The target waits for its own children; the patcher's stops and signals never reach its wait.
//! map: varies
#include "target.h"
#include <sys/wait.h>
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
int probe(void) { return answer(1) - 1; }
static void *waiting(void *unused) {
  for (;; check(probe())) {
    pid_t child = fork();
    if (child == 0) { usleep(20000); _exit(7); }
    int status = 0;
    if (waitpid(-1, &status, WUNTRACED | WCONTINUED) != child) fault("waitpid", errno);
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != 7) fault("a child's status", 0);
  }
  return unused;
}
void start(int count, char **words) { start_thread(waiting); }
