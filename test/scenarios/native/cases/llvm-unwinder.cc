//! about: A C++ program with LLVM's library and unwinder: exceptions pass through new code in both directions, and a walk of the stack goes through it.
//! compiler: clang++
//! link: -stdlib=libc++ -unwindlib=none -L/usr/lib/llvm-14/lib -lunwind -pthread
//! flags: -O2 -stdlib=libc++ -Wno-unused-command-line-argument
//! needs: clang++ /usr/lib/llvm-14/lib/libunwind.so /usr/lib/llvm-14/include/c++/v1
#include "target.h"
#include <stdexcept>
#include <unwind.h>
#include <unistd.h>
static _Unwind_Reason_Code one_frame(struct _Unwind_Context *, void *count) { ++*(int *)count; return _URC_NO_REASON; }
__attribute__((noinline)) int depth(void) { int count = 0; _Unwind_Backtrace(one_frame, &count); OPAQUE(); return count; }
__attribute__((noinline)) int inner(int x) { OPAQUE(); if (x > 5) throw std::runtime_error("inner"); return depth(); }
__attribute__((noinline)) int answer(int x) {
  RAN();
  if (x == VERSION + 100) throw std::runtime_error("answer");
  int frames = inner(x);
  OPAQUE();
  return frames < 4 ? 50 : 1 + VERSION;
}
int probe(void) {
  int caught = 0;
  try { answer(6); } catch (const std::exception &error) { caught += strcmp(error.what(), "inner") == 0; }
  try { answer(answer(1) == 1 ? 100 : 101); } catch (const std::exception &error) { caught += strcmp(error.what(), "answer") == 0; }
  return caught == 2 ? answer(1) - 1 : 2;
}
