//! about: 160 MB of code lie between what changes and what it refers to; patch memory is within reach of both.
//! flags: -O2 -mcmodel=large -fno-pie -no-pie
//! refuses: build build/not-matched
#include "target.h"
static int limit = 3;
NOINLINE int front(int x) { OPAQUE(); return x + limit; }
__asm__(".text\n.skip 167772160, 0xcc\n");
NOINLINE int answer(int x) { RAN(); OPAQUE(); return front(x) - limit + VERSION; }
int probe(void) { return answer(1) - 1; }
