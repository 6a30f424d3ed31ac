/** A program with what fixes meet: static functions and variables, tables, strings, assertions, a switch, a cold path. */
export const sampleFiles = {
  "shared.h": `#define LIMIT 100
static inline int clamp(int x) { return x > LIMIT ? LIMIT : x; }
int classify(int x);
int measure(const char *s, int n);
int second(int x);
`,
  "first.c": `#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "shared.h"
static int counter;
static const char *const names[] = {"zero", "one", "two", "three"};
static const int table[4] = {3, 1, 4, 1};
__attribute__((noinline)) static int helper(int x) { static int count = 3; count += x; return count * 7 + table[x & 3]; }
int classify(int x) {
  switch (x) {
    case 0: return 10; case 1: return 22; case 2: return helper(x); case 3: return 31;
    case 4: return 45; case 5: return counter; case 6: return clamp(helper(1)); default: return -1;
  }
}
int measure(const char *s, int n) {
  assert(n >= 0);
  counter++;
  printf("%s %d\\n", names[n & 3], clamp(n));
  if (n > 5000) abort();
  return (int)strlen(s) + n + helper(n);
}
`,
  "second.c": `#include <stdlib.h>
#include "shared.h"
static int counter = 40;
__attribute__((noinline)) static int helper(int x) { return counter += x; }
int second(int x) { return helper(clamp(x)) * 2; }
`,
  "main.c": `#include <stdio.h>
#include "shared.h"
int main(int argc, char **argv) {
  printf("%d %d %d\\n", measure(argv[0], argc), classify(argc), second(argc));
  return 0;
}
`,
} as const;

/** Two lines above everything, so that every assertion moves, and one check in one function. */
export const fixedFirst = sampleFiles["first.c"]
  .replace("static int counter;", "/* The fix. */\n#define MOST 50\nstatic int refused = 7;\nstatic int counter;")
  .replace("  counter++;\n", '  if (n > MOST) { puts("too large"); return refused++; }\n  counter++;\n');
