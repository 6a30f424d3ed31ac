//! about: One function changes; compilers, levels and kinds of linking.
//! variant: gcc-O0: gcc; -O0
//! variant: gcc-O1: gcc; -O1
//! variant: gcc-O2: gcc; -O2
//! variant: gcc-O3: gcc; -O3
//! variant: gcc-Os: gcc; -Os
//! variant: gcc-debug: gcc; -O2 -g
//! variant: frame-pointer: gcc; -O2 -fno-omit-frame-pointer
//! variant: sections: gcc; -O2 -ffunction-sections -fdata-sections -Wl,--gc-sections
//! variant: cet: gcc; -O2 -fcf-protection=full
//! variant: hardened: gcc; -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -Wl,-z,relro,-z,now
//! variant: no-pie: gcc; -O2 -fno-pie -no-pie
//! variant: static: gcc; -O2 -static
//! variant: static-pie: gcc; -O2 -static-pie -fPIE
//! variant: lto: gcc; -O2 -flto; -pthread; build build/not-matched
//! variant: clang-O0: clang; -O0
//! variant: clang-O2: clang; -O2
//! variant: clang-O3: clang; -O3
//! variant: clang-Os: clang; -Os
//! variant: musl-static: musl-gcc; -O2 -static; -pthread; apply target/no-gadget
#include "target.h"
static int limit = 10;
static const char *const names[] = {"zero", "one", "two", "three"};
NOINLINE int length(const char *text) { OPAQUE(); return (int)strlen(text) + limit; }
NOINLINE int measure(int n) {
  RAN();
  int sum = 0;
  for (int i = 0; i < n; i++) sum += length(names[i & 3]);
#if VERSION
  if (n > 3) sum += 1;
#endif
  return sum;
}
int probe(void) { return measure(4) - (15 + 4 * limit); }
