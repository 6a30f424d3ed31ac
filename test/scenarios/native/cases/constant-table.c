//! about: A constant table that functions use changes, and nothing else: every function that reads it gets the new one.
#include "target.h"
static const unsigned char allowed[16] = {1, 1, 0, 1, 0, 0, 1, VERSION, 0, 0, 1, 0, 1, 0, 0, 1};
NOINLINE int is_allowed(int x) { OPAQUE(); return allowed[x & 15]; }
NOINLINE int count_allowed(void) { int sum = 0; for (volatile int i = 0; i < 16; i = i + 1) sum += allowed[i]; return sum; }
int probe(void) { int one = is_allowed(7), all = count_allowed() - 7; return one == all ? one : 2; }
