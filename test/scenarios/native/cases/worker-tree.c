//! about: A master and the workers that it forked before the patch: --tree reaches all of them, and takes it back from all.
//! map: varies
#include "target.h"
#include <sys/prctl.h>
#include <sys/wait.h>
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
int probe(void) { return answer(1) - 1; }
void start(int count, char **words) {
  for (int index = 0; index < 3; index++) {
    if (fork() != 0) continue;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) { check(answer(1) - 1); usleep(1000); }
  }
}
