//! about: Threads come and go all the time while the hotpatch does, too.
//! map: varies
#include "target.h"
NOINLINE int first(int x) { OPAQUE(); return x + VERSION; }
NOINLINE int both(void) { RAN(); int sum = first(1) + first(2) * 10; return sum == 21 ? 0 : sum == 32 && VERSION ? 1 : 2; }
int probe(void) { return both(); }
static void *shortly(void *unused) { for (int i = 0; i < 5; i++) check(both()); return unused; }
static void *creating(void *unused) {
  for (;;) {
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) if (pthread_create(&threads[i], NULL, shortly, NULL) != 0) fault("pthread_create", errno);
    for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
    usleep(200);
  }
  return unused;
}
void start(int count, char **words) { start_thread(creating); start_thread(creating); }
