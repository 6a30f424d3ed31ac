//! about: Wrong usage ends with 2, what is refused with 3, what fails with 1; a build leaves the compiler and the source as they were.
#include "target.h"
NOINLINE int answer(int x) { OPAQUE(); return x + VERSION; }
int probe(void) { return answer(1) - 1; }
