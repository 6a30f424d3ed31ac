//! about: A static program whose C library chooses functions at run time (IFUNC): the fix calls one in a function that did not, which the program uses elsewhere.
//! flags: -O2 -static -fno-builtin
#include "target.h"
static char from[300], to[300];
volatile int many = 200;
int probe(void);
NOINLINE int elsewhere(void) { memcpy(to, from, many); return (int)strlen(to) + (strrchr(to, 'b') != NULL); }
NOINLINE int answer(int x) {
  RAN();
#if VERSION
  memcpy(to + 1, from, many);
  if (strlen(to + 1) != (size_t)many || strrchr(to + 1, 'a') != to + many) fault("memcpy", 0);
  memset(to, 'c', 1);
#endif
  return x + VERSION;
}
int probe(void) { return answer(1) - 1; }
void start(int count, char **words) {
  memset(from, 'a', 250);
  from[many] = 0;
  if (elsewhere() != many) fault("elsewhere", 0);
}
