//! about: A process that shares the target's memory without being a thread of it, and never ends: it would not stand still in a stop, so it is refused by its number.
//! refuses: apply target/shared-memory Process \d+ runs in the memory of process
//! wait: 2
//! map: varies
#include "target.h"
#include <sched.h>
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
int probe(void) { return answer(1) - 1; }
static char stack[65536];
static int beside(void *unused) { for (;;) { one_round(); usleep(1000); if (getppid() == 1) _exit(0); } }
void start(int count, char **words) { if (clone(beside, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL) < 0) abort(); }
