//! about: A function that is nothing but a short jump to its neighbour, of 2 bytes with padding behind it.
#include "target.h"
NOINLINE int parse(int x) { RAN(); OPAQUE(); return x; }
NOINLINE int other(int x) { RAN(); OPAQUE(); return x + 1; }
#if VERSION
NOINLINE int request(int x) { return other(x); }
#else
NOINLINE int request(int x) { return parse(x); }
#endif
int probe(void) { return request(7) - 7; }
