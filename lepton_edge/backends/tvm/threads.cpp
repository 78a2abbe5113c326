// Threads that each do a part of every kernel of a network, and wait for each other in between.
//
// The caller's thread is one of them. The others wait for the next run, busily at first: it often comes soon.
#include <pthread.h>
#include <sched.h>
#include <stdint.h>

#include <new>

extern "C" {
void lepton_entry(uint8_t *arena, const uint8_t *weights, int32_t part, int32_t parts, int32_t *barrier);
void lepton_barrier(int32_t *barrier, int32_t parts);
void *lepton_pool_new(int32_t parts);
void lepton_pool_run(void *pool, uint8_t *arena, const uint8_t *weights);
void lepton_pool_delete(void *pool);
}

namespace {

const int busy = 1000;  // looks at a place, some tens of microseconds, before the processor is given to others

inline void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

struct Pool {
    int32_t barrier[32] = {};  // [0] how many have come, [16] how often all have: in lines of their own
    int32_t parts = 1;
    int32_t sleepers = 0;
    uint32_t runs = 0;
    bool is_over = false;
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t begins = PTHREAD_COND_INITIALIZER;
    pthread_t threads[64] = {};
    uint8_t *arena = nullptr;
    const uint8_t *weights = nullptr;
};

struct Worker {
    Pool *pool;
    int32_t part;
};

uint32_t next_run(Pool *pool, uint32_t last) {
    for (int i = 0; i < busy; ++i) {
        const uint32_t runs = __atomic_load_n(&pool->runs, __ATOMIC_ACQUIRE);
        if (runs != last) return runs;
        relax();
    }
    pthread_mutex_lock(&pool->mutex);
    ++pool->sleepers;
    while (pool->runs == last) pthread_cond_wait(&pool->begins, &pool->mutex);
    --pool->sleepers;
    const uint32_t runs = pool->runs;
    pthread_mutex_unlock(&pool->mutex);
    return runs;
}

void begin_run(Pool *pool) {
    pthread_mutex_lock(&pool->mutex);
    __atomic_store_n(&pool->runs, pool->runs + 1, __ATOMIC_RELEASE);
    if (pool->sleepers) pthread_cond_broadcast(&pool->begins);
    pthread_mutex_unlock(&pool->mutex);
}

void *work(void *given) {
    const Worker worker = *static_cast<Worker *>(given);
    delete static_cast<Worker *>(given);
    Pool *pool = worker.pool;
    uint32_t run = 0;
    for (;;) {
        run = next_run(pool, run);
        if (pool->is_over) return nullptr;
        lepton_entry(pool->arena, pool->weights, worker.part, pool->parts, pool->barrier);
        lepton_barrier(pool->barrier, pool->parts);
    }
}

}  // namespace

// Returns when all parts have come.
void lepton_barrier(int32_t *barrier, int32_t parts) {
    if (parts == 1) return;
    const int32_t turn = __atomic_load_n(&barrier[16], __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&barrier[0], 1, __ATOMIC_ACQ_REL) == parts) {
        __atomic_store_n(&barrier[0], 0, __ATOMIC_RELAXED);
        __atomic_store_n(&barrier[16], turn + 1, __ATOMIC_RELEASE);
        return;
    }
    for (int i = 0; __atomic_load_n(&barrier[16], __ATOMIC_ACQUIRE) == turn; ++i) {
        if (i < busy) relax();
        else sched_yield();
    }
}

// Returns null where the system gives no more threads.
void *lepton_pool_new(int32_t parts) {
    Pool *pool = new (std::nothrow) Pool;
    if (!pool) return nullptr;
    pool->parts = parts;
    for (int32_t part = 1; part < parts; ++part) {
        Worker *worker = new (std::nothrow) Worker{pool, part};
        if (!worker || pthread_create(&pool->threads[part], nullptr, work, worker)) {
            delete worker;
            pool->parts = part;
            lepton_pool_delete(pool);
            return nullptr;
        }
    }
    return pool;
}

void lepton_pool_run(void *given, uint8_t *arena, const uint8_t *weights) {
    Pool *pool = static_cast<Pool *>(given);
    pool->arena = arena;
    pool->weights = weights;
    begin_run(pool);
    lepton_entry(arena, weights, 0, pool->parts, pool->barrier);
    lepton_barrier(pool->barrier, pool->parts);
}

void lepton_pool_delete(void *given) {
    Pool *pool = static_cast<Pool *>(given);
    pool->is_over = true;
    begin_run(pool);
    for (int32_t part = 1; part < pool->parts; ++part) pthread_join(pool->threads[part], nullptr);
    delete pool;
}
