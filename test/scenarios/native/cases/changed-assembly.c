//! about: Assembly at the top level changes: refused.
//! refuses: build build/changed-assembly main.c
#include "target.h"
#if VERSION
__asm__(".text\n.globl by_hand\n.type by_hand,@function\nby_hand: lea 1(%rdi),%eax\nnop\nret\n.size by_hand,.-by_hand\n");
#else
__asm__(".text\n.globl by_hand\n.type by_hand,@function\nby_hand: mov %edi,%eax\nnop\nret\n.size by_hand,.-by_hand\n");
#endif
int by_hand(int x);
int probe(void) { return by_hand(1) - 1; }
