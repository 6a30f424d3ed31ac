//! about: The target executes itself anew every few milliseconds while it is patched: an answer each time, never a dead process.
//! map: varies
//! timeout: 400
//! commands: apart
#include "target.h"
#include <fcntl.h>
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
int probe(void) { return answer(1) - 1; }
static char **own;
static volatile int wanted;
static void on_signal(int signal) { wanted = !wanted; }
static void *executing(void *unused) {
  for (;; usleep(1000)) {
    if (!wanted) continue;
    usleep(1500000);
    setenv("AGAIN", "1", 1);
    execv("/proc/self/exe", own);
    fault("execv", errno);
  }
  return unused;
}
int main(int count, char **words) {
  get_ready();
  own = words;
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigaction(SIGUSR1, &action, NULL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  wanted = getenv("AGAIN") != NULL;
  start_thread(executing);
  if (!wanted) puts("ready");
  answer_reports();
  return 0;
}
