//! about: A target in a mount namespace of its own, in which its file lies elsewhere.
//! needs: root, unshare, mount
//! run: exec unshare --mount sh -c "mkdir $DIR/inner && mount --bind $DIR $DIR/inner && cd $DIR/inner && exec ./app"
#include "target.h"
NOINLINE int first(int x) { OPAQUE(); return x + VERSION; }
NOINLINE int both(void) { RAN(); int sum = first(1) + first(2) * 10; return sum == 21 ? 0 : sum == 32 && VERSION ? 1 : 2; }
int probe(void) { return both(); }
void start(int count, char **words) { start_thread(probing_rarely); }
