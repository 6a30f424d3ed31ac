//! about: 512 threads that call what changes all the time; the caller changes too, so that no thread sees half of it.
#include "target.h"
NOINLINE int first(int x) { OPAQUE(); return x + VERSION; }
NOINLINE int second(int x) { OPAQUE(); return x + VERSION; }
NOINLINE int both(void) { RAN(); int sum = first(1) + second(2) * 10; return sum == 21 ? 0 : sum == 32 && VERSION ? 1 : 2; }
int probe(void) { return both(); }
static void *working(void *unused) { for (;;) { check(probe()); usleep(100000); } return unused; }
void start(int count, char **words) { for (int i = 0; i < 512; i++) start_thread(working); }
