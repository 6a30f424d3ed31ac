//! about: One thread sits in the changed function for good: the others are never held up, and the refusal names thread, function and stack.
#include "target.h"
static volatile long inside;
NOINLINE int wait_for_ever(void) { RAN(); inside = 1; for (;;) { pause(); OPAQUE(); if (!inside) return VERSION; } }
static void *waiting(void *unused) { wait_for_ever(); return unused; }
int probe(void) { return 0; }
/* What the longest time between two rounds was, in milliseconds: a fault when somebody froze the process. */
static void *working(void *unused) {
  struct timespec before, now;
  clock_gettime(CLOCK_MONOTONIC, &before);
  for (;; before = now) {
    for (volatile int i = 0; i < 1000; i++) continue;
    usleep(200);
    clock_gettime(CLOCK_MONOTONIC, &now);
    long ms = (now.tv_sec - before.tv_sec) * 1000 + (now.tv_nsec - before.tv_nsec) / 1000000;
    if (ms > 1500) fault("it stood still for more than a second and a half", 0);
    one_round();
  }
  return unused;
}
void start(int count, char **words) {
  start_thread(waiting);
  start_thread(working);
  while (!inside) usleep(100);
}
