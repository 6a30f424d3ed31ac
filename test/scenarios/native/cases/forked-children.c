//! about: A child that was forked from a patched process has the new code, is known so, and is reverted by itself.
//! map: varies
#include "target.h"
#include <sys/wait.h>
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
int probe(void) { return answer(1) - 1; }
/* A worker of its own, which answers on the same pipe as its parent would; asked for by SIGUSR1. */
static volatile int wanted;
static void on_signal(int signal) { wanted = 1; }
static void *worker(void *unused) {
  for (;; usleep(1000)) {
    if (!wanted) continue;
    wanted = 0;
    pid_t child = fork();
    if (child == 0) { for (;;) { check(answer(1) - 1); usleep(1000); } }
  }
  return unused;
}
void start(int count, char **words) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigaction(SIGUSR1, &action, NULL);
  start_thread(worker);
}
