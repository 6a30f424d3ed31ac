//! about: The changed function is the program's main loop, which is never left: refused with thread, function and stack, and the loop goes on meanwhile.
//! refuses: apply plan/active-function Thread \d+ of process \d+ was in serve .*app\+0x
//! wait: 1
#include "target.h"
int probe(void) { return 0; }
static volatile long turns;
NOINLINE int serve(void) { for (;;) { RAN(); turns++; usleep(500); if (turns < 0) return VERSION; } }
static void *serving(void *unused) { serve(); return unused; }
void start(int count, char **words) { start_thread(serving); }
