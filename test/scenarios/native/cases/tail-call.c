//! about: Functions that end in a jump to another one: the changed one is reached by a jump and leaves by one.
#include "target.h"
NOINLINE int last(int x, int y) { OPAQUE(); return x - y; }
NOINLINE int middle(int x) { RAN(); OPAQUE(); return last(x + VERSION, 1); }
NOINLINE int front(int x) { OPAQUE(); return middle(x); }
int probe(void) { return front(1); }
void start(int count, char **words) { start_thread(probing); }
