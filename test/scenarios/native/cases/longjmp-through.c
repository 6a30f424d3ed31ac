//! about: longjmp past the changed function: from a callee of it to its caller, out of a signal handler that has interrupted it, and to a setjmp within it.
#include "target.h"
#include <setjmp.h>
#include <signal.h>
static __thread jmp_buf home;
static __thread sigjmp_buf out_of_handler;
NOINLINE void leave(int x) { OPAQUE(); longjmp(home, x); }
NOINLINE int through(int x) { RAN(); OPAQUE(); leave(x + VERSION); return 77; }
NOINLINE int within(int x) {
  jmp_buf here;
  volatile int tries = 0;
  if (setjmp(here) < 3) { tries++; OPAQUE(); longjmp(here, tries); }
  return x + VERSION + (tries != 3) * 10;
}
NOINLINE int interrupted(int x) { OPAQUE(); pthread_kill(pthread_self(), SIGUSR1); return x + VERSION + 50; }
static void handler(int number) { siglongjmp(out_of_handler, 1); }
NOINLINE int all(void) {
  volatile int first = setjmp(home);
  if (first == 0) through(1);
  if (sigsetjmp(out_of_handler, 1) == 0) first += interrupted(100);
  return first * 10 + within(2);
}
#if VERSION
NOINLINE int pair(void) { return all() == 23 ? 1 : 2; }
#else
NOINLINE int pair(void) { return all() == 12 ? 0 : 2; }
#endif
int probe(void) { return pair(); }
void start(int count, char **words) {
  signal(SIGUSR1, handler);
  start_thread(probing_rarely);
}
