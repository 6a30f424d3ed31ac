//! about: The target has locked all its memory, what is to come as well.
//! needs: root
#include "target.h"
#include <sys/mman.h>
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
int probe(void) { return answer(1) - 1; }
void start(int count, char **words) { if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0) abort(); }
