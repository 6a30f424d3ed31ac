//! about: A static program for musl that handles a signal, and so has the instructions by which a signal returns.
//! compiler: musl-gcc
//! flags: -O2 -static
//! needs: musl-gcc
#include "target.h"
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
NOINLINE int far_below(void) { volatile char room[65536]; room[0] = 1; int got = answer(room[0]); room[1] = 1; return got - 1; }
int probe(void) { return far_below(); }
static void on_signal(int signal) { one_round(); }
void start(int count, char **words) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigaction(SIGUSR1, &action, NULL);
}
