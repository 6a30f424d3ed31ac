//! about: A function of 10 bytes with another one right behind: the neighbour's bytes stay as they are.
//! flags: -O2 -falign-functions=1 -fno-toplevel-reorder -fcf-protection=none
#include "target.h"
static volatile int base = 4;
NOINLINE int tiny(void) { return base + VERSION; }
NOINLINE int neighbour(int x) { return x * 3 + 7; }
NOINLINE int behind(int x) { return x * 5 + 9; }
int probe(void) { return neighbour(2) == 13 && behind(2) == 19 ? tiny() - 4 : 2; }
void start(int count, char **words) { start_thread(probing); }
