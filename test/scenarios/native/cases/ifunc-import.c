//! about: The fix calls memmem's neighbours that the C library chooses at run time (IFUNC), and that the program has used already.
#include "target.h"
static char text[32] = "some words here";
NOINLINE int answer(int x) {
  RAN();
  OPAQUE();
#if VERSION
  char copy[32];
  memcpy(copy, text, (size_t)x);
  return strchr(copy, 'w') == copy + 5 && strlen(text) == 15 ? x + 1 : x + 5;
#else
  return strlen(text) == 15 ? x : 99;
#endif
}
int probe(void) { return answer(16) - 16; }
void start(int count, char **words) { if (strchr(words[0], '/') == NULL || memcpy(text, "some", 4) != text) abort(); }
