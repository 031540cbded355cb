/* Worker threads: a queue of jobs, and threads that start when there is work for them. */
#include "pool.h"

#include <sched.h>
#include <signal.h>

struct ep_pool {
  struct ep_obj obj;
  pthread_mutex_t lock;
  pthread_cond_t work, settled;
  struct ep_job *head, **tail;
  int queued, idle, started, max;
  bool ending;
  pthread_t threads[];
};

int ep_pool_cores(void)
{
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) < 0)
    return 1;
  return CPU_COUNT(&set);
}

/* Called with the lock held, as are the next two. */
static void enqueue(struct ep_pool *pool, struct ep_job *job)
{
  job->state = EP_JOB_QUEUED;
  job->next = NULL;
  *pool->tail = job;
  pool->tail = &job->next;
  pool->queued++;
}

static void dequeue(struct ep_pool *pool, struct ep_job *job)
{
  struct ep_job **p = &pool->head;
  while (*p != job)
    p = &(*p)->next;
  *p = job->next;
  if (pool->tail == &job->next)
    pool->tail = p;
  pool->queued--;
}

/* Opens the lock while the job runs. */
static void run_one(struct ep_pool *pool, struct ep_job *job)
{
  bool more;
  dequeue(pool, job);
  job->state = EP_JOB_RUNNING;
  job->again = false;
  pthread_mutex_unlock(&pool->lock);
  more = job->run(job);
  pthread_mutex_lock(&pool->lock);
  job->state = EP_JOB_IDLE;
  if (job->retracted)
    pthread_cond_broadcast(&pool->settled);
  else if (more || job->again)
    enqueue(pool, job); /* wakes nobody: this thread looks for its next job just now */
}

static void *worker(void *arg)
{
  struct ep_pool *pool = arg;
  pthread_mutex_lock(&pool->lock);
  for (;;) {
    if (pool->head) {
      run_one(pool, pool->head);
    } else if (pool->ending) {
      break;
    } else {
      pool->idle++;
      pthread_cond_wait(&pool->work, &pool->lock);
      pool->idle--;
    }
  }
  pthread_mutex_unlock(&pool->lock);
  return NULL;
}

/* Called with the lock held. */
static void start_one(struct ep_pool *pool)
{
  sigset_t all, before;
  sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  if (pthread_create(&pool->threads[pool->started], NULL, worker, pool) == 0)
    pool->started++;
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void pool_destroy(void *self)
{
  struct ep_pool *pool = self;
  int i;
  pthread_mutex_lock(&pool->lock);
  pool->ending = true;
  pthread_cond_broadcast(&pool->work);
  pthread_mutex_unlock(&pool->lock);
  for (i = 0; i < pool->started; i++)
    (void)pthread_join(pool->threads[i], NULL);
  pthread_cond_destroy(&pool->settled);
  pthread_cond_destroy(&pool->work);
  pthread_mutex_destroy(&pool->lock);
}

struct ep_pool *ep_pool_new(struct ep_host *host, int threads)
{
  size_t size = sizeof(struct ep_pool) + (size_t)threads * sizeof(pthread_t);
  struct ep_pool *pool = ep_obj_new(host, EP_KIND_POOL, size, pool_destroy);
  if (!pool)
    return NULL;
  pool->tail = &pool->head;
  pool->max = threads;
  pthread_mutex_init(&pool->lock, NULL);
  pthread_cond_init(&pool->work, NULL);
  pthread_cond_init(&pool->settled, NULL);
  return pool;
}

void ep_pool_submit(struct ep_pool *pool, struct ep_job *job)
{
  bool here = false, queued = false;
  pthread_mutex_lock(&pool->lock);
  if (job->state == EP_JOB_RUNNING) {
    job->again = true;
  } else if (job->state == EP_JOB_IDLE) {
    if (pool->queued >= pool->idle && pool->started < pool->max)
      start_one(pool);
    here = pool->started == 0;
    queued = !here;
    if (queued)
      enqueue(pool, job);
  }
  pthread_mutex_unlock(&pool->lock);
  if (queued) /* with the lock held the thread would wake up only to wait for that */
    pthread_cond_signal(&pool->work);
  while (here && job->run(job))
    ;
}

void ep_pool_retract(struct ep_pool *pool, struct ep_job *job)
{
  pthread_mutex_lock(&pool->lock);
  job->retracted = true;
  if (job->state == EP_JOB_QUEUED) {
    dequeue(pool, job);
    job->state = EP_JOB_IDLE;
  }
  while (job->state == EP_JOB_RUNNING)
    pthread_cond_wait(&pool->settled, &pool->lock);
  pthread_mutex_unlock(&pool->lock);
}
