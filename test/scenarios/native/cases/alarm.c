//! about: alarm() again and again while main waits in pause(); each alarm wakes it exactly once.
#include "target.h"
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
int probe(void) { return answer(1) - 1; }
static volatile int alarms;
static void on_alarm(int signal) { alarms++; }
static void *waiting(void *unused) {
  sigset_t mine, before;
  sigemptyset(&mine);
  sigaddset(&mine, SIGALRM);
  pthread_sigmask(SIG_BLOCK, &mine, &before);
  sigdelset(&before, SIGALRM);
  for (;;) {
    int seen = alarms;
    ualarm(3000, 0);
    sigsuspend(&before);
    if (alarms != seen + 1) fault("an alarm", 0);
    check(probe());
  }
  return unused;
}
void start(int count, char **words) {
  struct sigaction action = {.sa_handler = on_alarm};
  sigset_t mine;
  sigaction(SIGALRM, &action, NULL);
  start_thread(waiting);
  sigemptyset(&mine);
  sigaddset(&mine, SIGALRM);
  pthread_sigmask(SIG_BLOCK, &mine, NULL);
}
