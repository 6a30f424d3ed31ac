//! about: A thread runs programs by vfork all the time; the child shares the memory until it has started one.
//! map: varies
#include "target.h"
#include <sys/wait.h>
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
int probe(void) { return answer(1) - 1; }
static void *forking(void *unused) {
  for (;; usleep(500)) {
    pid_t child = vfork();
    if (child == 0) { execl("/bin/true", "true", NULL); _exit(99); }
    int status = 0;
    if (child < 0) fault("vfork", errno);
    else if (waitpid(child, &status, 0) != child) fault("waitpid", errno);
    else if (status != 0) fault("the program", 0);
    check(probe());
  }
  return unused;
}
void start(int count, char **words) { start_thread(forking); start_thread(probing_rarely); }
