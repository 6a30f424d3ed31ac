//! about: The signal handler itself is what changes, on the usual stack and on one of its own.
#include "target.h"
#include <sys/time.h>
static volatile int seen, other_seen;
NOINLINE void on_tick(int signal) { RAN(); seen = VERSION; one_round(); }
NOINLINE void on_profile(int signal, siginfo_t *info, void *context) { RAN(); other_seen = VERSION; one_round(); }
int probe(void) {
  raise(SIGALRM);
  raise(SIGPROF);
  return seen == other_seen ? seen : 2;
}
void start(int count, char **words) {
  static char other[65536];
  stack_t stack = {.ss_sp = other, .ss_size = sizeof other};
  struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
  struct sigaction profile = {.sa_sigaction = on_profile, .sa_flags = SA_RESTART | SA_SIGINFO | SA_ONSTACK};
  struct itimerval often = {{0, 3000}, {0, 3000}};
  sigaltstack(&stack, NULL);
  sigaction(SIGALRM, &action, NULL);
  sigaction(SIGPROF, &profile, NULL);
  setitimer(ITIMER_REAL, &often, NULL);
}
