//! about: The fix calls time(), which the C library chooses at run time and nothing in the program has used yet.
#include "target.h"
NOINLINE int answer(int x) {
  RAN();
  OPAQUE();
#if VERSION
  return time(NULL) > 1000 ? x + 1 : x + 5;
#else
  return x;
#endif
}
int probe(void) { return answer(1) - 1; }
