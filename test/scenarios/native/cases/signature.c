//! about: A function gets a parameter more, and its callers with it: no caller and function of different versions ever meet.
#include "target.h"
#if VERSION
NOINLINE int parse(int x, int limit) { RAN(); OPAQUE(); return x > limit ? limit : x + 1; }
#else
NOINLINE int parse(int x) { RAN(); OPAQUE(); return x; }
#endif
NOINLINE int request(int x) {
  OPAQUE();
#if VERSION
  return parse(x * 3, 100) - 2 * x;
#else
  return parse(x * 3) - 2 * x;
#endif
}
NOINLINE int other_request(int x) {
  OPAQUE();
#if VERSION
  return parse(x + 1, 100) - 1;
#else
  return parse(x + 1) - 1;
#endif
}
int probe(void) { return request(7) - 7; }
void start(int count, char **words) { start_thread(probing); if (other_request(3) != 3) abort(); }
