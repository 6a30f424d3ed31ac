//! about: The new code throws, and old code catches; old code throws through the new. Its unwind tables have to be known to the C++ runtime.
//! variant: gcc: g++; -O2
//! variant: clang: clang++; -O2
#include "target.h"
#include <stdexcept>
__attribute__((noinline)) int inner(int x) { OPAQUE(); if (x > 5) throw std::runtime_error("inner"); return x; }
__attribute__((noinline)) int answer(int x) { RAN(); if (x == VERSION + 100) throw std::runtime_error("answer"); return inner(x) + VERSION; }
int probe(void) {
  int caught = 0;
  try { answer(6); } catch (const std::exception &error) { caught += strcmp(error.what(), "inner") == 0; }
  try { answer(answer(1) == 1 ? 100 : 101); } catch (const std::exception &error) { caught += strcmp(error.what(), "answer") == 0; }
  return caught == 2 ? answer(1) - 1 : 2;
}
