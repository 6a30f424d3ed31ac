//! about: Handlers on a stack of their own call what changes.
#include "target.h"
#include <sys/time.h>
NOINLINE int first(int x) { OPAQUE(); return x + VERSION; }
NOINLINE int both(void) { RAN(); int sum = first(1) + first(2) * 10; return sum == 21 ? 0 : sum == 32 && VERSION ? 1 : 2; }
int probe(void) { return both(); }
static void on_tick(int signal) { check(both()); }
void start(int count, char **words) {
  static char other[65536];
  stack_t stack = {.ss_sp = other, .ss_size = sizeof other};
  struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART | SA_ONSTACK};
  struct itimerval often = {{0, 1000}, {0, 1000}};
  sigaltstack(&stack, NULL);
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &often, NULL);
}
