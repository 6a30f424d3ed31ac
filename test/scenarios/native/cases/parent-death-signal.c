//! about: The target gets a signal when its parent ends (PR_SET_PDEATHSIG); a patcher that comes and goes is no parent.
//! commands: apart
#include "target.h"
#include <sys/prctl.h>
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
int probe(void) { return answer(1) - 1; }
static void on_signal(int signal) { fault("the parent's death was signalled", 0); }
void start(int count, char **words) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigaction(SIGUSR1, &action, NULL);
  if (prctl(PR_SET_PDEATHSIG, SIGUSR1) != 0) abort();
}
