//! about: Real-time signals are queued from another thread with numbers; each arrives once and in order.
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
static volatile int next;
static void on_number(int signal, siginfo_t *info, void *context) {
  if (info->si_value.sival_int != next) fault("a signal was lost or came twice", 0);
  next = info->si_value.sival_int + 1;
  check(both());
}
static void *sending(void *unused) {
  sigset_t mine;
  sigemptyset(&mine);
  sigaddset(&mine, SIGRTMIN);
  pthread_sigmask(SIG_BLOCK, &mine, NULL);
  for (int number = 0;; number++) {
    union sigval value = {.sival_int = number};
    while (sigqueue(getpid(), SIGRTMIN, value) != 0) usleep(1000);
    usleep(300);
  }
  return unused;
}
void start(int count, char **words) {
  struct sigaction action = {.sa_sigaction = on_number, .sa_flags = SA_RESTART | SA_SIGINFO};
  sigaction(SIGRTMIN, &action, NULL);
  start_thread(sending);
}
