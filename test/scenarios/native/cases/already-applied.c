//! about: Applied twice is an answer and no failure; ps says which process has what since when, and counters are true.
#include "target.h"
NOINLINE int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
int probe(void) { return answer(1) - 1; }
void start(int count, char **words) { start_thread(probing_rarely); }
