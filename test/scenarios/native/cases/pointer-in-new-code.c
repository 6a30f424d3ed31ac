//! about: The new code takes the address of a changed function and gives it to the program; it stays good after the revert.
#include "target.h"
typedef int (*function)(int);
static function kept;
NOINLINE int answer(int x) { OPAQUE(); return x + VERSION; }
NOINLINE void choose(void) {
  RAN();
#if VERSION
  if (kept != answer) fault("the address is another one", 0);
#endif
  kept = answer;
}
int probe(void) { choose(); return kept(1) - 1; }
