//! about: A fix adds a static variable in one function, so that the compiler numbers those of others anew; they do not count as changed.
#include "target.h"
NOINLINE int front(int x) {
  RAN();
#if VERSION
  static int state = 8;
  state++;
  if (state < 8) return -1;
  x += 1;
#endif
  OPAQUE();
  return x;
}
NOINLINE int second(int x) { static int state = 3; state += x; OPAQUE(); return state; }
NOINLINE int third(int x) { static int state = 5; state += x; OPAQUE(); return state; }
int probe(void) { int b = second(1), c = third(1); return c - b == 2 ? front(1) - 1 : 2; }
