//! about: Two files have a changed function of the very same code: nothing tells which is which, so it is refused rather than half fixed.
//! refuses: build build/not-matched stands in 2 places
#include "target.h"
int second_file(int x);
int third_file(int x);
NOINLINE int all(void) { int b = second_file(50), c = third_file(50); return b == c ? (b == 10 ? 0 : b == 20 && VERSION ? 1 : 2) : 3; }
int probe(void) { return all(); }
//! file: second.c
__attribute__((noinline)) int second_file(int x) { __asm__ volatile("" ::: "memory"); return x > 10 * (VERSION + 1) ? 10 * (VERSION + 1) : x; }
//! file: third.c
__attribute__((noinline)) int third_file(int x) { __asm__ volatile("" ::: "memory"); return x > 10 * (VERSION + 1) ? 10 * (VERSION + 1) : x; }
