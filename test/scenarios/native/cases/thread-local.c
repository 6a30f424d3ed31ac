//! about: Thread-local variables that exist are each thread's own in the new code too.
#include "target.h"
static __thread int depth;
static __thread long own = 5;
NOINLINE int answer(int x) { RAN(); if (own != 5) return 9; depth += 1; OPAQUE(); int got = x + VERSION; depth -= 1; return depth == 0 ? got : 9; }
int probe(void) { return answer(1) - 1; }
void start(int count, char **words) { for (int i = 0; i < 4; i++) start_thread(probing_rarely); }
