//! about: An interval timer every 2 ms whose handler calls what changes.
#include "target.h"
#include <sys/time.h>
#include <time.h>
static volatile long ticks;
NOINLINE int first(int x) { OPAQUE(); return x + VERSION; }
NOINLINE int both(void) { RAN(); int sum = first(1) + first(2) * 10; return sum == 21 ? 0 : sum == 32 && VERSION ? 1 : 2; }
int probe(void) { return both(); }
static void on_tick(int signal) { ticks++; check(both()); }
static void handle(int signal) {
  struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
  sigaction(signal, &action, NULL);
}
void start(int count, char **words) {
  struct itimerval often = {{0, 2000}, {0, 2000}};
  handle(SIGALRM);
  setitimer(ITIMER_REAL, &often, NULL);
}
