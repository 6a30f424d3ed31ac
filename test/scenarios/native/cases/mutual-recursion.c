//! about: Two functions that call each other, both changed; a call that has begun ends in the version that it began in.
//! flags: -O2 -fno-optimize-sibling-calls
#include "target.h"
int odd(int n);
NOINLINE int even(int n) { RAN(); if (n == 0) return VERSION; OPAQUE(); int below = odd(n - 1); return below == VERSION ? below : 2; }
NOINLINE int odd(int n) { RAN(); if (n == 0) return VERSION; OPAQUE(); int below = even(n - 1); return below == VERSION ? below : 2; }
int probe(void) { return even(31); }
void start(int count, char **words) { start_thread(probing); start_thread(probing_rarely); }
