//! about: A program at a fixed address gets its first use of a variable of the C library (stderr), for which the linker would have made a copy relocation.
//! variant: no-pie: gcc; -O2 -fno-pie -no-pie
//! variant: pie: gcc; -O2
//! variant: clang-no-pie: clang; -O2 -fno-pie; -no-pie -pthread
#include "target.h"
#if VERSION
#include <getopt.h>
#endif
NOINLINE int answer(int x) {
  RAN();
  OPAQUE();
#if VERSION
  if (fileno(stderr) != 2 || opterr != 1 || environ == NULL) fault("stderr", 0);
#endif
  return x + VERSION;
}
int probe(void) { return answer(1) - 1; }
