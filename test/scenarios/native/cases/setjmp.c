//! about: longjmp out of the changed function, over and over.
#include "target.h"
#include <setjmp.h>
static __thread jmp_buf home;
NOINLINE void leave(int x) { RAN(); OPAQUE(); longjmp(home, x + VERSION); }
int probe(void) {
  int got = setjmp(home);
  if (got == 0) leave(1);
  return got - 1;
}
void start(int count, char **words) { start_thread(probing); start_thread(probing_rarely); }
