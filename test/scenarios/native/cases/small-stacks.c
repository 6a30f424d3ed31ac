//! about: Threads with the smallest stacks that there are, working.
#include "target.h"
#include <limits.h>
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
int probe(void) { return answer(1) - 1; }
void start(int count, char **words) {
  for (int i = 0; i < 8; i++) {
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN);
    if (pthread_create(&thread, &attributes, probing_rarely, NULL) != 0) abort();
  }
}
