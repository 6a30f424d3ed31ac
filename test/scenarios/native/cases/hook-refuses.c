//! about: A hook before the switch says no: the apply is refused, nothing has changed.
//! refuses: apply target/hook-failed answered 7
#include "target.h"
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
int probe(void) { return answer(1) - 1; }
void start(int count, char **words) { start_thread(probing_rarely); }
//! file: hooks.c
#include <rebootless.h>
static int no(void) { return 7; }
REBOOTLESS_BEFORE_APPLY(no);
