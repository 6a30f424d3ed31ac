//! about: Link-time optimisation has put the changed function into a caller of another file; it is nowhere by itself, and is refused by name.
//! variant: gcc: gcc; -O2 -flto
//! variant: clang: clang; -O2 -flto; -pthread -fuse-ld=lld
//! refuses: build build/not-matched answer
#include "target.h"
int answer(int x);
NOINLINE int outer(int x) { OPAQUE(); return answer(x) * 3 + 1; }
int probe(void) { return (outer(1) - 4) / 3; }
void start(int count, char **words) { start_thread(probing_rarely); }
//! file: other.c
#include "target.h"
int answer(int x) { RAN(); return x + VERSION; }
