//! about: A newer hotpatch takes the place of an older one on the same function in one step; taking it back gives the program's own code.
#include "target.h"
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
NOINLINE int other(int x) { OPAQUE(); return x * 2; }
int probe(void) { return answer(1) - 1 + (other(1) == 2 ? 0 : 10); }
void start(int count, char **words) { start_thread(probing_rarely); }
