//! about: A program at a fixed address has a copy of the C library's variable already (a copy relocation); the new code uses that copy.
//! flags: -O2 -fno-pie
//! link: -no-pie -pthread
#include "target.h"
#include <getopt.h>
NOINLINE int elsewhere(void) { return opterr == 5 && optind == 7; }
NOINLINE int answer(int x) {
  RAN();
#if VERSION
  if (opterr != 5 || optind != 7) fault("opterr", 0);
#endif
  OPAQUE();
  return x + VERSION;
}
int probe(void) { return answer(1) - 1; }
void start(int count, char **words) { opterr = 5; optind = 7; if (!elsewhere()) fault("elsewhere", 0); }
