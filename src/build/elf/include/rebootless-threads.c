/*
 * Storage for thread-local variables that a fix adds: threads that run have no room for them in their static TLS.
 *
 * A variable is a control object (the layout of libgcc's emutls.c, which clang writes with -femulated-tls) and a key of its own; each thread's value is a block from calloc, and the key's destructor is the C library's free.
 * So no thread's exit ever calls code of the hotpatch, not even one that ends while the hotpatch is taken out.
 * No lock: what fork may interrupt is complete with one store, and a child has the value of the thread that forked.
 */
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct rebootless_thread_control {
  size_t size;
  size_t align;
  /* The key and 1; 0 while there is none. */
  size_t key;
  /* NULL for zeros. */
  const void *initial;
};

struct rebootless_thread_key {
  struct rebootless_thread_key *next;
  pthread_key_t key;
};

__attribute__((visibility("hidden"))) struct rebootless_thread_key *rebootless_thread_keys = NULL;

static pthread_key_t key_of(struct rebootless_thread_control *control) {
  struct rebootless_thread_key *node;
  pthread_key_t key;
  size_t none = 0;
  size_t known = __atomic_load_n(&control->key, __ATOMIC_ACQUIRE);
  if (known != 0) return (pthread_key_t)(known - 1);
  node = (struct rebootless_thread_key *)calloc(1, sizeof *node);
  if (node == NULL || pthread_key_create(&key, free) != 0) abort();
  if (!__atomic_compare_exchange_n(&control->key, &none, (size_t)key + 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    pthread_key_delete(key);
    free(node);
    return (pthread_key_t)(none - 1);
  }
  node->key = key;
  node->next = __atomic_load_n(&rebootless_thread_keys, __ATOMIC_ACQUIRE);
  while (!__atomic_compare_exchange_n(&rebootless_thread_keys, &node->next, node, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) continue;
  return key;
}

/* The calling thread's variable, made with its initial value where the thread has not used it. Without memory the program ends, as with emulated TLS. */
void *rebootless_thread_variable(struct rebootless_thread_control *control) {
  pthread_key_t key = key_of(control);
  void *value = pthread_getspecific(key);
  if (value != NULL) return value;
  if (control->align <= 16) value = calloc(1, control->size == 0 ? 1 : control->size);
  else if (posix_memalign(&value, control->align, control->size) != 0) value = NULL;
  else memset(value, 0, control->size);
  if (value == NULL || pthread_setspecific(key, value) != 0) abort();
  if (control->initial != NULL) memcpy(value, control->initial, control->size);
  return value;
}

/* Called by the patcher when nobody runs code of the hotpatch any more. The values of other threads stay with their memory, since whoever frees them could meet a thread that ends. */
int rebootless_thread_release(void) {
  struct rebootless_thread_key *node = rebootless_thread_keys;
  rebootless_thread_keys = NULL;
  while (node != NULL) {
    struct rebootless_thread_key *next = node->next;
    free(pthread_getspecific(node->key));
    pthread_key_delete(node->key);
    free(node);
    node = next;
  }
  return 0;
}
