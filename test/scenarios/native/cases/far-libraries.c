//! about: 3 GB of other mappings lie around the program; patch memory finds its place near each binary all the same.
//! link: -pthread -L. -lone '-Wl,-rpath,$$ORIGIN'
#include "target.h"
#include <sys/mman.h>
int one(int x);
NOINLINE int all(void) { RAN(); int a = one(10) - 10; return a == VERSION ? a : 2; }
int probe(void) { return all(); }
void start(int count, char **words) {
  for (int i = 0; i < 48; i++) if (mmap(NULL, 64 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED) abort();
  start_thread(probing_rarely);
}
//! file: libone.c
static int calls;
int one(int x) { calls++; __asm__ volatile("" ::: "memory"); return calls > 0 ? x + VERSION : -1; }
