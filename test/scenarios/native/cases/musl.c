//! about: A program for musl, whose library has no unwind information: words on stacks are taken for what they may be.
//! compiler: musl-gcc
//! needs: musl-gcc
#include "target.h"
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
/* What the call leaves on the stack lies below everything that waits. */
NOINLINE int far_below(void) { volatile char room[65536]; room[0] = 1; int got = answer(room[0]); room[1] = 1; return got - 1; }
int probe(void) { return far_below(); }
void start(int count, char **words) { start_thread(probing_rarely); }
