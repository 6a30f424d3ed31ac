//! about: Coroutines by ucontext, which call what changes; none waits inside of it.
#include "target.h"
#include <ucontext.h>
static ucontext_t home[2], inside[2];
static char stacks[2][65536];
static int results[2];
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
static void run(int which) {
  for (;;) {
    results[which] = answer(which) - which;
    swapcontext(&inside[which], &home[which]);
  }
}
static void *switching(void *unused) {
  for (;;) {
    for (int which = 0; which < 2; which++) {
      swapcontext(&home[which], &inside[which]);
      check(results[which]);
    }
    usleep(200);
  }
  return unused;
}
int probe(void) { return answer(5) - 5; }
void start(int count, char **words) {
  for (int which = 0; which < 2; which++) {
    getcontext(&inside[which]);
    inside[which].uc_stack.ss_sp = stacks[which];
    inside[which].uc_stack.ss_size = sizeof stacks[which];
    makecontext(&inside[which], (void (*)(void))run, 1, which);
  }
  start_thread(switching);
}
