//! about: A function of 4 bytes with another one right behind has no room for a jump, and is refused by name.
//! flags: -O1 -falign-functions=1 -fno-toplevel-reorder -fcf-protection=none
//! refuses: apply target/entry-too-short tiny
#include "target.h"
NOINLINE int tiny(int x) { return x + VERSION; }
NOINLINE int neighbour(int x) { return x * 3 + 7; }
int probe(void) { return neighbour(2) == 13 ? tiny(4) - 4 : 2; }
