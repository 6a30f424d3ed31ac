//! about: A static program's fix calls a function of the C library that is not in the program: nothing is there to call, and it is refused by name.
//! flags: -O2 -static -fno-builtin
//! refuses: build build/unresolved-symbol wcsspn
#include "target.h"
#include <wchar.h>
NOINLINE int answer(int x) {
  RAN();
#if VERSION
  wchar_t text[] = {'a', 'b', 0};
  x += (int)wcsspn(text, L"a") - 1;
#endif
  return x + VERSION;
}
int probe(void) { return answer(1) - 1; }
