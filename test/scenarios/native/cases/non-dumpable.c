//! about: The target forbids core dumps (PR_SET_DUMPABLE 0), so that only root may look into it.
//! needs: root
#include "target.h"
#include <sys/prctl.h>
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
int probe(void) { return answer(1) - 1; }
void start(int count, char **words) { if (prctl(PR_SET_DUMPABLE, 0) != 0) abort(); }
