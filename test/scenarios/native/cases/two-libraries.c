//! about: Two libraries and the program change in one hotpatch: all take effect at one instant.
//! link: -pthread -L. -lone -ltwo '-Wl,-rpath,$$ORIGIN'
#include "target.h"
int one(int x);
int two(int x);
NOINLINE int all(void) {
  RAN();
  int a = one(10) - 10, b = two(20) - 20;
  return a == b && a == VERSION ? a : 2;
}
int probe(void) { return all(); }
void start(int count, char **words) { start_thread(probing); start_thread(probing_rarely); }
//! file: libone.c
static int calls_of_one;
int one(int x) { calls_of_one++; __asm__ volatile("" ::: "memory"); return calls_of_one > 0 ? x + VERSION : -1; }
//! file: libtwo.c
static int calls_of_two;
int two(int x) { calls_of_two += 2; __asm__ volatile("" ::: "memory"); return calls_of_two > 1 ? x + VERSION : -2; }
