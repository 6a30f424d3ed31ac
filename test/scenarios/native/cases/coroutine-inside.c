//! about: A coroutine on a stack of its own, switched by hand, waits inside the changed function: refused while it does, to apply and to revert; what is left over on its stack from calls that have ended does not count.
//! variant: context: gcc; -O2 -DSWITCH=1
//! variant: pushed: gcc; -O2 -DSWITCH=2
//! variant: pushed-O0: gcc; -O0 -DSWITCH=2
//! variant: ucontext: gcc; -O2 -DSWITCH=3
//! variant: setjmp: gcc; -O2 -DSWITCH=4
//! variant: clang: clang; -O2 -DSWITCH=1
//! wait: 1
#include "target.h"
#include <setjmp.h>
#include <signal.h>
#include <ucontext.h>

enum { stack_bytes = 65536 };
static char *stack;

#if SWITCH == 1
/* As minicoro does it: what a switch keeps is in a struct beside the stack. */
struct context { void *rip, *rsp, *rbp, *rbx, *r12, *r13, *r14, *r15; };
void switch_context(struct context *from, const struct context *to);
__asm__(".text\n.globl switch_context\n.type switch_context,@function\nswitch_context:\n"
        "leaq 1f(%rip),%rax\nmovq %rax,(%rdi)\nmovq %rsp,8(%rdi)\nmovq %rbp,16(%rdi)\nmovq %rbx,24(%rdi)\n"
        "movq %r12,32(%rdi)\nmovq %r13,40(%rdi)\nmovq %r14,48(%rdi)\nmovq %r15,56(%rdi)\n"
        "movq 56(%rsi),%r15\nmovq 48(%rsi),%r14\nmovq 40(%rsi),%r13\nmovq 32(%rsi),%r12\nmovq 24(%rsi),%rbx\n"
        "movq 16(%rsi),%rbp\nmovq 8(%rsi),%rsp\njmpq *(%rsi)\n1: ret\n.size switch_context,.-switch_context\n");
static struct context home, inside;
static void go_in(void) { switch_context(&home, &inside); }
static void go_home(void) { switch_context(&inside, &home); }
static void make(void (*run)(void)) {
  /* Where a call would leave it: 8 below a multiple of 16. */
  char *top = stack + stack_bytes - 72;
  *(void **)top = (void *)0xdeaddeaddead;
  inside = (struct context){.rip = (void *)run, .rsp = top};
}
#elif SWITCH == 2
/* As Boost.Context does it: what a switch keeps is pushed, and the stack pointer is all that is left. */
void switch_stack(void **from, void *to);
__asm__(".text\n.globl switch_stack\n.type switch_stack,@function\nswitch_stack:\n"
        "pushq %rbp\npushq %rbx\npushq %r15\npushq %r14\npushq %r13\npushq %r12\nsubq $8,%rsp\nstmxcsr (%rsp)\n"
        "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
        "ldmxcsr (%rsp)\naddq $8,%rsp\npopq %r12\npopq %r13\npopq %r14\npopq %r15\npopq %rbx\npopq %rbp\nret\n"
        ".size switch_stack,.-switch_stack\n");
static void *home, *inside;
static void go_in(void) { switch_stack(&home, inside); }
static void go_home(void) { switch_stack(&inside, home); }
static void make(void (*run)(void)) {
  void **top = (void **)(stack + stack_bytes - 64);
  *--top = NULL;
  *--top = (void *)run;
  top -= 7;
  memset(top, 0, 56);
  *(unsigned *)top = 0x1f80;
  inside = top;
}
#elif SWITCH == 3
static ucontext_t home, inside;
static void go_in(void) { swapcontext(&home, &inside); }
static void go_home(void) { swapcontext(&inside, &home); }
static void make(void (*run)(void)) {
  getcontext(&inside);
  inside.uc_stack.ss_sp = stack;
  inside.uc_stack.ss_size = stack_bytes;
  makecontext(&inside, run, 0);
}
#else
/* As GNU Pth does it: begun by swapcontext, switched by jumps whose stack pointer is kept in disguise. */
static jmp_buf home, inside;
static ucontext_t caller, callee;
static void (*body)(void);
static void go_in(void) { if (_setjmp(home) == 0) _longjmp(inside, 1); }
static void go_home(void) { if (_setjmp(inside) == 0) _longjmp(home, 1); }
static void begin(void) {
  if (_setjmp(inside) == 0) swapcontext(&callee, &caller);
  body();
}
static void make(void (*run)(void)) {
  body = run;
  getcontext(&callee);
  callee.uc_stack.ss_sp = stack;
  callee.uc_stack.ss_size = stack_bytes;
  makecontext(&callee, begin, 0);
  swapcontext(&caller, &callee);
  memset(&callee, 0, sizeof callee);
}
#endif

static int waits, result;
/* Not to be seen through by what compilers know of results. */
static volatile int nothing;
NOINLINE void deeper(int hold) { OPAQUE(); if (hold) go_home(); OPAQUE(); }
NOINLINE void deep(int hold) { char room[200]; memset(room, hold, sizeof room); OPAQUE(); deeper(hold); OPAQUE(); }
NOINLINE int parked(int x, int hold) { RAN(); deep(hold); OPAQUE(); return x + VERSION + nothing; }
static void run(void) {
  for (;;) {
    result = parked(5, 0) - 5;
    go_home();
    while (waits) {
      result = parked(7, 1) - 7;
      go_home();
    }
  }
}
static volatile sig_atomic_t wanted;
static void told(int number) { wanted = number; }
int probe(void) {
  int number = wanted;
  wanted = 0;
  if (number == SIGUSR1) { waits = 1; go_in(); waits = 0; }
  if (number == SIGUSR2) {
    go_in();
    if (result != 0 && result != 1) fault("what came out of the coroutine", 0);
  }
  return parked(1, 0) - 1;
}
void start(int count, char **words) {
  signal(SIGUSR1, told);
  signal(SIGUSR2, told);
  stack = malloc(stack_bytes);
  if (stack == NULL) abort();
  make(run);
  go_in();
}
