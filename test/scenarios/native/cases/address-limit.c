//! about: RLIMIT_AS is reached: the kernel gives no memory, which is said, and the target lives on unchanged.
#include "target.h"
#include <sys/resource.h>
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
int probe(void) { return answer(1) - 1; }
void start(int count, char **words) {
  long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%ld", &pages) != 1) abort();
  fclose(file);
  struct rlimit limit = {(rlim_t)pages * 4096, (rlim_t)pages * 4096 + (1 << 20)};
  if (setrlimit(RLIMIT_AS, &limit) != 0) abort();
}
