//! about: A POSIX timer every 2 ms, with a real-time signal; none may be lost for good.
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
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 2};
  struct itimerspec often = {{0, 2000000}, {0, 2000000}};
  timer_t timer;
  handle(SIGRTMIN + 2);
  if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 || timer_settime(timer, 0, &often, NULL) != 0) fault("timer", errno);
}
