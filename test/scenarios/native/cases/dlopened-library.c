//! about: The changed code is in a library that dlopen loaded; its own static variable goes on counting.
//! link: -pthread -ldl
#include "target.h"
#include <dlfcn.h>
static int (*measure)(int);
int probe(void) { return measure(3) - 3; }
void start(int count, char **words) {
  void *library = dlopen("./libplugin.so", RTLD_NOW);
  measure = library ? (int (*)(int))dlsym(library, "measure") : NULL;
  if (measure == NULL) abort();
  start_thread(probing_rarely);
}
//! file: libplugin.c
static int calls;
__attribute__((noinline)) static int scaled(int x) { calls++; __asm__ volatile("" ::: "memory"); return x; }
int measure(int x) { return scaled(x) + (calls > 0 ? VERSION : 5); }
