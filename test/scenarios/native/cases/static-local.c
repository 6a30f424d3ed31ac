//! about: A static variable in a changed function keeps its value there and back; the fix adds one of its own.
#include "target.h"
NOINLINE int count_up(void) {
#if VERSION
  static int mine = 700;
  if (mine++ < 700) return -1;
#endif
  static int calls;
  RAN();
  return ++calls;
}
static int expected;
NOINLINE int version(void) { OPAQUE(); return VERSION; }
int probe(void) {
  if (count_up() != ++expected) return 2;
  return version();
}
