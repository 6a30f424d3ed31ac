//! about: A fix adds a thread_local variable inside a function, whose initialiser runs in each thread when it first comes there.
//! map: varies
#include "target.h"
static int stamps;
NOINLINE int next_stamp(void) { OPAQUE(); return __atomic_add_fetch(&stamps, 1, __ATOMIC_SEQ_CST); }
NOINLINE int answer(int x) {
  RAN();
#if VERSION
  static thread_local int stamp = next_stamp();
  static thread_local pthread_t whose = pthread_self();
  return stamp > 0 && pthread_equal(whose, pthread_self()) ? x + 1 : 9;
#else
  return x + (stamps < 0);
#endif
}
int probe(void) { return answer(1) - 1; }
void start(int count, char **words) {
  if (next_stamp() != 1) fault("stamp", 0);
  for (int i = 0; i < 4; i++) start_thread(probing_rarely);
}
