/*
 * Shadow variables: new fields of objects that exist already, kept beside them and found by the object's address and a number.
 *
 * The memory is the hotpatch's own, by mmap: a hook that runs while every thread stands still cannot use malloc, whose lock one of them may hold.
 * One lock; it names its process, so that a child that was forked while another thread held it takes it over. Every change is complete with one store.
 * The definitions are weak, so that several sources may include this; the hotpatch has them once. Released when the hotpatch is taken out.
 */
#ifndef REBOOTLESS_SHADOW_H
#define REBOOTLESS_SHADOW_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define REBOOTLESS_SHADOW_ __attribute__((weak, visibility("hidden")))

enum {
  rebootless_shadow_buckets = 4096,
  rebootless_shadow_classes = 17,
  rebootless_shadow_chunk_bytes = 65536
};

struct rebootless_shadow_node {
  struct rebootless_shadow_node *next;
  const void *object;
  uint64_t id;
  /* The power of two of the node's bytes; 0 for one with a chunk of its own. */
  uint64_t size_class;
};

struct rebootless_shadow_chunk {
  struct rebootless_shadow_chunk *next;
  size_t bytes;
  size_t used;
  size_t padding;
};

struct rebootless_shadow_table {
  uint64_t lock;
  struct rebootless_shadow_chunk *chunks;
  struct rebootless_shadow_node *unused[rebootless_shadow_classes];
  struct rebootless_shadow_node *buckets[rebootless_shadow_buckets];
};

REBOOTLESS_SHADOW_ struct rebootless_shadow_table rebootless_shadow_table = {0, NULL, {NULL}, {NULL}};

static inline long rebootless_shadow_call(long number, long a, long b, long c, long d, long e, long f) {
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  long result = number;
  __asm__ volatile("syscall" : "+a"(result) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
  return result;
}

static inline void rebootless_shadow_lock(void) {
  uint64_t self = (uint64_t)rebootless_shadow_call(39 /* getpid */, 0, 0, 0, 0, 0, 0);
  for (;;) {
    uint64_t holder = 0;
    if (__atomic_compare_exchange_n(&rebootless_shadow_table.lock, &holder, self, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
    if (holder == self) rebootless_shadow_call(24 /* sched_yield */, 0, 0, 0, 0, 0, 0);
    else if (__atomic_compare_exchange_n(&rebootless_shadow_table.lock, &holder, self, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
  }
}

static inline void rebootless_shadow_unlock(void) { __atomic_store_n(&rebootless_shadow_table.lock, 0, __ATOMIC_RELEASE); }

static inline struct rebootless_shadow_node **rebootless_shadow_place(const void *object, uint64_t id) {
  uint64_t mixed = ((uint64_t)(uintptr_t)object >> 4) * UINT64_C(0x9e3779b97f4a7c15) + id * UINT64_C(0xc2b2ae3d27d4eb4f);
  struct rebootless_shadow_node **place = &rebootless_shadow_table.buckets[(mixed >> 40) % rebootless_shadow_buckets];
  while (*place != NULL && ((*place)->object != object || (*place)->id != id)) place = &(*place)->next;
  return place;
}

static inline struct rebootless_shadow_chunk *rebootless_shadow_map(size_t bytes) {
  /* PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS */
  long at = rebootless_shadow_call(9 /* mmap */, 0, (long)bytes, 3, 0x22, -1, 0);
  struct rebootless_shadow_chunk *chunk = (struct rebootless_shadow_chunk *)at;
  if (at < 0 && at > -4096) return NULL;
  chunk->bytes = bytes;
  chunk->used = sizeof *chunk;
  chunk->next = rebootless_shadow_table.chunks;
  __atomic_store_n(&rebootless_shadow_table.chunks, chunk, __ATOMIC_RELEASE);
  return chunk;
}

static inline struct rebootless_shadow_node *rebootless_shadow_take(size_t size) {
  size_t bytes = size + sizeof(struct rebootless_shadow_node);
  struct rebootless_shadow_chunk *chunk = rebootless_shadow_table.chunks;
  struct rebootless_shadow_node *node;
  uint64_t size_class = 6;
  if (bytes > rebootless_shadow_chunk_bytes / 2) {
    chunk = rebootless_shadow_map((bytes + sizeof *chunk + 4095) & ~(size_t)4095);
    if (chunk == NULL) return NULL;
    chunk->used = chunk->bytes;
    node = (struct rebootless_shadow_node *)(chunk + 1);
    node->size_class = 0;
    return node;
  }
  while (((size_t)1 << size_class) < bytes) size_class++;
  node = rebootless_shadow_table.unused[size_class];
  if (node != NULL) {
    __atomic_store_n(&rebootless_shadow_table.unused[size_class], node->next, __ATOMIC_RELEASE);
  } else {
    /* The newest ones; older ones have little left. */
    for (int looks = 0; chunk != NULL && chunk->bytes - chunk->used < ((size_t)1 << size_class); looks++)
      chunk = looks < 8 ? chunk->next : NULL;
    if (chunk == NULL) chunk = rebootless_shadow_map(rebootless_shadow_chunk_bytes);
    if (chunk == NULL) return NULL;
    node = (struct rebootless_shadow_node *)((char *)chunk + chunk->used);
    __atomic_store_n(&chunk->used, chunk->used + ((size_t)1 << size_class), __ATOMIC_RELEASE);
    node->size_class = size_class;
  }
  for (size_t at = sizeof *node; at < bytes; at++) ((volatile char *)node)[at] = 0;
  return node;
}

/* The object's variable of this number; NULL where it has none. Valid until it is freed. */
REBOOTLESS_SHADOW_ void *rebootless_shadow_get(const void *object, uint64_t id) {
  rebootless_shadow_lock();
  struct rebootless_shadow_node *node = *rebootless_shadow_place(object, id);
  rebootless_shadow_unlock();
  return node == NULL ? NULL : (void *)(node + 1);
}

/* As rebootless_shadow_get, and made of zeros where it was not there; NULL where no memory is left. A variable keeps the size that it was made with. */
REBOOTLESS_SHADOW_ void *rebootless_shadow_get_or_alloc(const void *object, uint64_t id, size_t size) {
  rebootless_shadow_lock();
  struct rebootless_shadow_node **place = rebootless_shadow_place(object, id);
  struct rebootless_shadow_node *node = *place;
  if (node == NULL && (node = rebootless_shadow_take(size)) != NULL) {
    node->object = object;
    node->id = id;
    node->next = NULL;
    __atomic_store_n(place, node, __ATOMIC_RELEASE);
  }
  rebootless_shadow_unlock();
  return node == NULL ? NULL : (void *)(node + 1);
}

/* Where the object itself is freed: its address may be given to another one. */
REBOOTLESS_SHADOW_ void rebootless_shadow_free(const void *object, uint64_t id) {
  rebootless_shadow_lock();
  struct rebootless_shadow_node **place = rebootless_shadow_place(object, id);
  struct rebootless_shadow_node *node = *place;
  if (node != NULL) {
    __atomic_store_n(place, node->next, __ATOMIC_RELEASE);
    if (node->size_class != 0) {
      node->next = rebootless_shadow_table.unused[node->size_class];
      __atomic_store_n(&rebootless_shadow_table.unused[node->size_class], node, __ATOMIC_RELEASE);
    } else {
      struct rebootless_shadow_chunk *chunk = (struct rebootless_shadow_chunk *)node - 1;
      struct rebootless_shadow_chunk **link = &rebootless_shadow_table.chunks;
      while (*link != chunk) link = &(*link)->next;
      __atomic_store_n(link, chunk->next, __ATOMIC_RELEASE);
      rebootless_shadow_call(11 /* munmap */, (long)chunk, (long)chunk->bytes, 0, 0, 0, 0);
    }
  }
  rebootless_shadow_unlock();
}

/* Called by the patcher when nobody runs code of the hotpatch any more. */
REBOOTLESS_SHADOW_ int rebootless_shadow_release(void) {
  struct rebootless_shadow_chunk *chunk = rebootless_shadow_table.chunks;
  rebootless_shadow_table.chunks = NULL;
  while (chunk != NULL) {
    struct rebootless_shadow_chunk *next = chunk->next;
    rebootless_shadow_call(11 /* munmap */, (long)chunk, (long)chunk->bytes, 0, 0, 0, 0);
    chunk = next;
  }
  return 0;
}

#ifdef __cplusplus
}
#endif
#endif
