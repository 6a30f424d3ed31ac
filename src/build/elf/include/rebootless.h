/* Hooks of a hotpatch: functions `int hook(void)` that run in the process that is patched; 0 is success. See docs/native-hooks.md. */
#ifndef REBOOTLESS_H
#define REBOOTLESS_H

/* Each puts a pointer into a section that `rebootless build elf --hooks` reads; in the running process there is nothing of it. */
#define REBOOTLESS_HOOK_(moment, function)                                                                      \
  static int (*const rebootless_##moment##_##function)(void)                                                    \
      __attribute__((used, section(".rebootless." #moment))) = function

/* While every thread stands still, right before the switch: takes no lock and allocates nothing. */
#define REBOOTLESS_BEFORE_APPLY(function) REBOOTLESS_HOOK_(before_apply, function)
/* After the switch, while the process runs. */
#define REBOOTLESS_AFTER_APPLY(function) REBOOTLESS_HOOK_(after_apply, function)
/* While every thread stands still, right before the old code comes back. */
#define REBOOTLESS_BEFORE_REVERT(function) REBOOTLESS_HOOK_(before_revert, function)
/* After the old code has come back, while the process runs. */
#define REBOOTLESS_AFTER_REVERT(function) REBOOTLESS_HOOK_(after_revert, function)
/* Whenever the hotpatch's memory is about to go, also where it never took effect. */
#define REBOOTLESS_RELEASE(function) REBOOTLESS_HOOK_(release, function)

/* `what`, such as struct_foo_t or data_counter: a change that would be refused, and that the hooks take care of. */
#define REBOOTLESS_HANDLES_STRUCT(name)                                                                         \
  static const char rebootless_handles_struct_##name[]                                                          \
      __attribute__((used, section(".rebootless.handles"))) = "struct:" #name
#define REBOOTLESS_HANDLES_DATA(name)                                                                           \
  static const char rebootless_handles_data_##name[]                                                            \
      __attribute__((used, section(".rebootless.handles"))) = "data:" #name

#endif
