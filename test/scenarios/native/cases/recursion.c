//! about: A function that calls itself, 50 deep, all the time; it goes in between two of its outermost calls.
//! flags: -O2 -fno-optimize-sibling-calls
#include "target.h"
NOINLINE int deep(int n) { if (n == 0) { RAN(); return VERSION; } OPAQUE(); int below = deep(n - 1); return below == VERSION ? below : 2; }
int probe(void) { return deep(50); }
void start(int count, char **words) { start_thread(probing); }
