//! about: A thread waits with its stack nearly used up, close to its guard page; another one makes the calls for us.
#include "target.h"
#include <limits.h>
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
int probe(void) { return answer(1) - 1; }
static void *deep(void *unused) {
  char here;
  pthread_attr_t attributes;
  void *lowest;
  size_t size;
  pthread_getattr_np(pthread_self(), &attributes);
  pthread_attr_getstack(&attributes, &lowest, &size);
  size_t room = (size_t)(&here - (char *)lowest) - 900;
  char *used = __builtin_alloca(room);
  used[0] = 1;
  for (;; one_round()) usleep(1000);
  return unused;
}
void start(int count, char **words) {
  for (int i = 0; i < 3; i++) {
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN + 16384);
    pthread_create(&thread, &attributes, deep, NULL);
  }
}
