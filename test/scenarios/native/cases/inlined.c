//! about: The fix is in an inline function of a header that several files use; every function with a copy of it changes.
#include "target.h"
#include "limits-of-ours.h"
int second_file(int x);
int third_file(int x);
NOINLINE int first_file(int x) { RAN(); OPAQUE(); return clamp(x); }
NOINLINE int all(void) { int a = first_file(50), b = second_file(50), c = third_file(50); return a == b && b == c ? (a == 10 ? 0 : a == 20 && VERSION ? 1 : 2) : 3; }
int probe(void) { return all(); }
void start(int count, char **words) { start_thread(probing_rarely); }
//! file: limits-of-ours.h
#if VERSION
#define LIMIT 20
static inline int clamp(int x) { return x < 0 ? 0 : x > LIMIT ? LIMIT : x; }
#else
#define LIMIT 10
static inline int clamp(int x) { return x > LIMIT ? LIMIT : x; }
#endif
//! file: second.c
#include "limits-of-ours.h"
__attribute__((noinline)) int second_file(int x) { __asm__ volatile("" ::: "memory"); return clamp(x); }
//! file: third.c
#include "limits-of-ours.h"
__attribute__((noinline)) int third_file(int x) { __asm__ volatile("" ::: "memory"); return x == 77 ? 7 : clamp(x); }
