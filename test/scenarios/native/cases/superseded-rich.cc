//! about: A newer hotpatch takes the place of an older one; both have hooks, unwind entries through which exceptions pass, and a new thread-local variable, and they are taken back in any order.
//! map: varies
#include "target.h"
#include <stdexcept>
volatile int pending;
#if VERSION
static __thread int mine = 30;
#endif
NOINLINE int inner(int x) { OPAQUE(); if (x > 5) throw std::runtime_error("inner"); return x; }
NOINLINE int answer(int x) {
  RAN();
#if VERSION
  mine++;
  OPAQUE();
  mine--;
  if (mine != 30) fault("the thread-local variable", 0);
#endif
  return inner(x) + VERSION;
}
NOINLINE int other(int x) { OPAQUE(); return x * 2; }
int probe(void) {
  try {
    answer(6);
    return 2;
  } catch (const std::runtime_error &error) {
    return answer(1) - 1 + (other(1) == 2 ? 0 : 10) + (pending < 0);
  }
}
void start(int count, char **words) { for (int i = 0; i < 3; i++) start_thread(probing_rarely); }
//! file: hooks.c
#include <rebootless.h>
extern volatile int pending;
static int before(void) { pending += 1; return 0; }
static int after(void) { pending += 10; return 0; }
static int before_revert(void) { pending -= 1; return 0; }
static int after_revert(void) { pending -= 10; return 0; }
REBOOTLESS_BEFORE_APPLY(before);
REBOOTLESS_AFTER_APPLY(after);
REBOOTLESS_BEFORE_REVERT(before_revert);
REBOOTLESS_AFTER_REVERT(after_revert);
