//! about: The library is unloaded while the hotpatch is in it; the process lives, and what is left of the hotpatch can be taken out.
//! link: -pthread -ldl
//! map: varies
#include "target.h"
#include <dlfcn.h>
static void *library;
static int (*measure)(int);
static volatile int is_closed;
int probe(void) { return is_closed ? 0 : measure(3) - 3; }
static void on_signal(int signal) { dlclose(library); is_closed = 1; }
void start(int count, char **words) {
  library = dlopen("./libplugin.so", RTLD_NOW);
  measure = library ? (int (*)(int))dlsym(library, "measure") : NULL;
  if (measure == NULL) abort();
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigaction(SIGUSR1, &action, NULL);
}
//! file: libplugin.c
static int calls;
__attribute__((noinline)) static int scaled(int x) { calls++; __asm__ volatile("" ::: "memory"); return x; }
int measure(int x) { return scaled(x) + (calls > 0 ? VERSION : 5); }
