//! about: Pointers to the changed function that the program keeps lead to the new one, stay equal, and lead back.
#include "target.h"
typedef int (*function)(int);
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
static function kept;
static const struct { const char *name; function call; } table[] = {{"answer", answer}};
NOINLINE function address(void) { OPAQUE(); return answer; }
int probe(void) {
  if (kept != table[0].call || kept != address()) return 2;
  int one = kept(1) - 1, other = table[0].call(2) - 2;
  return one == other ? one : 3;
}
void start(int count, char **words) { kept = answer; }
