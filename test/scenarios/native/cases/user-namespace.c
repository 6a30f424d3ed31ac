//! about: A target in a user namespace of its own, where it is root.
//! needs: unshare
//! run: exec unshare --user --map-root-user "$APP"
#include "target.h"
NOINLINE int first(int x) { OPAQUE(); return x + VERSION; }
NOINLINE int both(void) { RAN(); int sum = first(1) + first(2) * 10; return sum == 21 ? 0 : sum == 32 && VERSION ? 1 : 2; }
int probe(void) { return both(); }
void start(int count, char **words) { start_thread(probing_rarely); }
