//! about: The initial value of a variable changes, which a running process would not see: refused by its name.
//! refuses: build build/changed-data limit
#include "target.h"
static int limit = 10 + VERSION;
NOINLINE int answer(int x) { limit += 0; OPAQUE(); return x + limit + VERSION; }
int probe(void) { return answer(1) - 11; }
void start(int count, char **words) { limit += count > 5; }
