//! about: A thread forks all the time while the hotpatch comes and goes; each child is all old or all new.
//! map: varies
#include "target.h"
#include <sys/wait.h>
NOINLINE int first(int x) { OPAQUE(); return x + VERSION; }
NOINLINE int both(void) { RAN(); int sum = first(1) + first(2) * 10; return sum == 21 ? 0 : sum == 32 && VERSION ? 1 : 2; }
int probe(void) { return both(); }
static void *forking(void *unused) {
  for (;;) {
    pid_t child = fork();
    if (child == 0) _exit(both() < 2 ? 0 : 1);
    int status = 0;
    if (child < 0) fault("fork", errno);
    else if (waitpid(child, &status, 0) != child) fault("waitpid", errno);
    else if (status != 0) fault("a child", 0);
    one_round();
    usleep(1000);
  }
  return unused;
}
void start(int count, char **words) { start_thread(forking); }
