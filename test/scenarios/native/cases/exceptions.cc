//! about: Exceptions are thrown and caught beside what changes: a changed function between old ones, which throws nothing.
#include "target.h"
#include <stdexcept>
__attribute__((noinline)) int answer(int x) { RAN(); OPAQUE(); return x + VERSION; }
__attribute__((noinline)) int throwing(int x) { OPAQUE(); if (x > 0) throw std::runtime_error("above"); return x; }
int probe(void) {
  try { throwing(answer(1)); } catch (const std::exception &error) { return answer(2) - 2; }
  return 2;
}
void start(int count, char **words) { start_thread(probing_rarely); }
