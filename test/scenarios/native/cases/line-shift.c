//! about: The fix moves every line: __LINE__, assertions and dates of functions that it did not touch do not count.
#include "target.h"
#include <assert.h>
#if VERSION
/* Lines
 * that
 * move. */
#endif
NOINLINE int untouched(int x) { assert(x > 0); return x * 3 + (__LINE__ > 100000); }
NOINLINE const char *built(void) { OPAQUE(); return __FILE__ " " __DATE__; }
NOINLINE int answer(int x) { RAN(); assert(x >= 0); OPAQUE(); return x + VERSION; }
int probe(void) { return untouched(2) == 6 && built() != NULL ? answer(1) - 1 : 2; }
