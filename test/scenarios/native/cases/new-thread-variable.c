//! about: The fix brings a thread-local variable, for which running threads have no room: refused by its name.
//! refuses: build build/new-thread-variable seen
#include "target.h"
#if VERSION
static __thread int seen;
#endif
NOINLINE int answer(int x) {
  OPAQUE();
#if VERSION
  seen++;
  return x + 1 + (seen < 0);
#else
  return x;
#endif
}
int probe(void) { return answer(1) - 1; }
