//! about: A function with a cold part changes; the cold parts of others move, and do not count.
#include "target.h"
NOINLINE int quiet(int x) { if (__builtin_expect(x > 1000, 0)) { fault("too large", x); abort(); } OPAQUE(); return x * 5; }
NOINLINE int answer(int x) {
  RAN();
  if (__builtin_expect(x > 1000, 0)) {
#if VERSION
    fault("much too large", x * 3);
#endif
    fault("too large", x);
    abort();
  }
  OPAQUE();
  return x + VERSION;
}
NOINLINE int other(int x) { if (__builtin_expect(x > 2000, 0)) { fault("larger", x); abort(); } OPAQUE(); return x * 7; }
int probe(void) { return quiet(2) == 10 && other(2) == 14 ? answer(1) - 1 : 2; }
void start(int count, char **words) { start_thread(probing); }
