//! about: The fix brings a thread-local variable: threads that run and threads that begin later each have their own.
//! map: varies
#include "target.h"
#if VERSION
static __thread int seen = 3;
#endif
NOINLINE int answer(int x) {
  RAN();
#if VERSION
  seen++;
  OPAQUE();
  seen--;
  return seen == 3 ? x + 1 : 9;
#else
  return x;
#endif
}
int probe(void) { return answer(1) - 1; }
void start(int count, char **words) { for (int i = 0; i < 4; i++) start_thread(probing_rarely); }
