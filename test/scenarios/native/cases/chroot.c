//! about: A static target in a chroot where there is nothing but itself.
//! flags: -O2 -static
//! needs: root, chroot
//! run: mkdir jail && cp app jail/ && exec chroot jail /app
#include "target.h"
NOINLINE int first(int x) { OPAQUE(); return x + VERSION; }
NOINLINE int both(void) { RAN(); int sum = first(1) + first(2) * 10; return sum == 21 ? 0 : sum == 32 && VERSION ? 1 : 2; }
int probe(void) { return both(); }
void start(int count, char **words) { start_thread(probing_rarely); }
