//! about: The same library is loaded twice, in two namespaces of the dynamic linker.
//! link: -pthread -ldl
//! refuses: apply target/loaded-twice libplugin.so
#include "target.h"
#include <dlfcn.h>
static int (*first)(int), (*second)(int);
int probe(void) { int a = first(3) - 3, b = second(4) - 4; return a == b ? a : 2; }
void start(int count, char **words) {
  void *one = dlopen("./libplugin.so", RTLD_NOW), *other = dlmopen(LM_ID_NEWLM, "./libplugin.so", RTLD_NOW);
  first = one ? (int (*)(int))dlsym(one, "measure") : NULL;
  second = other ? (int (*)(int))dlsym(other, "measure") : NULL;
  if (first == NULL || second == NULL || first == second) abort();
}
//! file: libplugin.c
static int calls;
__attribute__((noinline)) static int scaled(int x) { calls++; __asm__ volatile("" ::: "memory"); return x; }
int measure(int x) { return scaled(x) + (calls > 0 ? VERSION : 5); }
