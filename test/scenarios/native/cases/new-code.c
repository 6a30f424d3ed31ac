//! about: The fix brings new functions, variables, strings, a table, and calls a library function that the program did not import.
#include "target.h"
static int refused;
#if VERSION
static int most = 50;
static char text[64];
static const char *const reasons[] = {"fine", "too large", "far too large"};
static int (*const checks[])(int);
NOINLINE static int is_large(int x) { return x > most; }
NOINLINE static int is_huge(int x) { return x > most * 2; }
static int (*const checks[])(int) = {is_large, is_huge};
#endif
NOINLINE int take(int x) {
  RAN();
#if VERSION
  int level = checks[0](x) + checks[1](x);
  if (level > 0) {
    refused++;
    snprintf(text, sizeof text, "%s", reasons[level]);
    return strcasecmp(text, "FAR TOO LARGE") == 0 && strpbrk(text, "xyz") == NULL ? -2 : -1;
  }
#endif
  return x + refused * 0;
}
int probe(void) {
  int small = take(5), large = take(70), huge = take(1000);
  if (small != 5) return 2;
  return large == 70 && huge == 1000 ? 0 : large == -1 && huge == -2 ? 1 : 3;
}
