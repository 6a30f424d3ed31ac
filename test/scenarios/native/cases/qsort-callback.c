//! about: A callback of the C library's qsort changes while sorts are under way; no sort uses two orders.
#include "target.h"
NOINLINE int compare(const void *one, const void *other) {
  RAN();
  int a = *(const int *)one, b = *(const int *)other;
#if VERSION
  return a < b ? 1 : a > b ? -1 : 0;
#else
  return a < b ? -1 : a > b ? 1 : 0;
#endif
}
/* Changes as well, so that no sort is under way at the switch. */
NOINLINE int sorted(void) {
  int all[64];
  for (int i = 0; i < 64; i++) all[i] = i * 37 % 64;
  qsort(all, 64, sizeof *all, compare);
  for (int i = 0; i < 64; i++) if (all[i] != (VERSION ? 63 - i : i)) return 2;
  return VERSION;
}
int probe(void) { return sorted(); }
void start(int count, char **words) { start_thread(probing); }
