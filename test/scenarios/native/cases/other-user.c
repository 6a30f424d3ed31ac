//! about: The target belongs to another user, and root patches it.
//! needs: root, setpriv
//! run: chmod -R a+rX "$DIR" "$DIR/.." && exec setpriv --reuid 65534 --regid 65534 --clear-groups "$APP"
#include "target.h"
NOINLINE int first(int x) { OPAQUE(); return x + VERSION; }
NOINLINE int both(void) { RAN(); int sum = first(1) + first(2) * 10; return sum == 21 ? 0 : sum == 32 && VERSION ? 1 : 2; }
int probe(void) { return both(); }
void start(int count, char **words) { start_thread(probing_rarely); }
