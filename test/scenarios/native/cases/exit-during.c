//! about: Targets end while they are patched, at all moments: an answer each time, and they end as they would have.
//! map: varies
//! timeout: 400
//! commands: apart
#include "target.h"
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
int probe(void) { return answer(1) - 1; }
static void *ending(void *unused) {
  const char *us = getenv("ENDS_AFTER_US");
  if (us != NULL) { usleep((useconds_t)atoi(us)); exit(42); }
  return unused;
}
void start(int count, char **words) { for (int i = 0; i < 3; i++) start_thread(probing_rarely); start_thread(ending); }
