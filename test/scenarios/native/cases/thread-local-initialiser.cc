//! about: A fix adds a thread_local variable outside of functions whose initialiser has to run in each thread: refused by name, since threads that run have passed the place where it would.
//! refuses: build build/new-thread-variable __tls_guard.*initialiser that has to run
#include "target.h"
int first_stamp(void) __attribute__((noinline));
int first_stamp(void) { OPAQUE(); return (int)getpid(); }
#if VERSION
static thread_local int stamp = first_stamp();
#endif
NOINLINE int answer(int x) {
  RAN();
#if VERSION
  return stamp == getpid() ? x + 1 : 9;
#else
  return x;
#endif
}
int probe(void) { return answer(1) - 1; }
