//! about: The patcher is killed while it waits for a busy function: nothing of it stays behind, and the target lives.
#include "target.h"
static volatile long inside;
NOINLINE int wait_for_ever(void) { RAN(); inside = 1; for (;;) { usleep(1000); OPAQUE(); one_round(); if (!inside) return VERSION; } }
static void *waiting(void *unused) { wait_for_ever(); return unused; }
int probe(void) { return 0; }
void start(int count, char **words) {
  start_thread(waiting);
  while (!inside) usleep(100);
}
