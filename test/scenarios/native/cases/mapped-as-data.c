//! about: The program has mapped its own file a second time, as data to read; only the copy that runs counts.
#include "target.h"
#include <fcntl.h>
#include <sys/mman.h>
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
int probe(void) { return answer(1) - 1; }
void start(int count, char **words) {
  int file = open("/proc/self/exe", O_RDONLY);
  /* Below and above the code that runs. */
  if (mmap((void *)0x10000000, 8192, PROT_READ, MAP_PRIVATE | MAP_FIXED, file, 0) == MAP_FAILED) abort();
  if (mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, file, 0) == MAP_FAILED) abort();
  close(file);
}
