//! about: 130 MB of code lie between what changes and what it refers to; patch memory is within reach of both.
#include "target.h"
static int limit = 3;
NOINLINE int front(int x) { OPAQUE(); return x + limit; }
__asm__(".text\n.skip 136314880, 0xcc\n");
NOINLINE int answer(int x) { RAN(); OPAQUE(); return front(x) - limit + VERSION; }
int probe(void) { return answer(1) - 1; }
