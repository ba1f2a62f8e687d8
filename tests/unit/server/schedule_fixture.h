/* tests: a schedule whose time, engine and waiting room are fakes, so that what it decides depends
 * on nothing but the test: a batch takes exactly so many nanoseconds a token on a clock of our
 * own. */
#ifndef QR_TESTS_SERVER_SCHEDULE_FIXTURE_H
#define QR_TESTS_SERVER_SCHEDULE_FIXTURE_H

#include <stdatomic.h>

#include "semaphores.h"
#include "server/schedule/schedule_internal.h"

#define FAKE_START_NS 1000000u
#define NEVER         UINT64_MAX
#define LATER         (FAKE_START_NS + 3600 * QR_NS_PER_S) /* far away, but a time like any other */
#define BAD_ID        (-1) /* a job that begins with it is refused, and the batch that holds it */

/** The machine of one test. Its clock stands still but for batches. */
typedef struct fake_machine {
    qr_clock clock;
    _Atomic uint64_t now_ns;
    atomic_int wakes; /* wake-ups asked for */
    sem_t parked;     /* of threaded schedules */
    qr_schedule *schedule;
} fake_machine;

/** A queue that writes 2 * the job's first id into its room. */
typedef struct fake_queue {
    qr_queue queue;
    fake_machine *machine;
    uint64_t token_ns;
    char history
        [4096]; /* of stepped schedules: "2+3 1 " is a batch of jobs with ids 2 and 3, then 1 */
    void (*during)(struct fake_queue *queue); /* called within each batch; NULL: nothing */
    atomic_size_t items, batches;
    size_t most_jobs, most_tokens; /* in one batch */
} fake_queue;

/** A ticket with its jobs: each job's ids are all `id`, `id` + 1, ... */
typedef struct work {
    qr_ticket ticket;
    qr_job *jobs;
    int32_t *ids;
    float *rooms;
    sem_t done;
    atomic_int finished; /* calls of finished() */
    int order;           /* among all that finished */
} work;

#define TOKEN_NS 1000u /* what a token takes on the machines of fake_open */

/** A schedule without threads, and a queue of jobs of at most 128 tokens. */
void fake_open(fake_machine *machine, fake_queue *queue, int workers, size_t batch_tokens,
               size_t queue_items);

/** The machine's time. */
uint64_t fake_time(const fake_machine *machine);

/** A schedule without threads. `queue_items` as qr_schedule_options has it. */
void fake_create(fake_machine *machine, int workers, size_t queue_items);

/** The same for a device that takes `streams` batches side by side. */
void fake_create_device(fake_machine *machine, int workers, size_t streams, size_t queue_items);

/** As fake_create, with threads and the system's clock. */
void fake_start(fake_machine *machine, int workers, size_t queue_items);

/** The same for a device. */
void fake_start_device(fake_machine *machine, int workers, size_t streams, size_t queue_items);

/** Finishes what was admitted, by hand if there are no threads. */
void fake_stop(fake_machine *machine);

/** Rounds of worker 0 until it finds nothing; returns how many found something. */
int fake_run(fake_machine *machine);

/** One round of a worker; true: it found something. */
bool fake_round(fake_machine *machine, int worker);

void fake_queue_init(fake_queue *queue, fake_machine *machine, uint64_t token_ns,
                     size_t batch_tokens, size_t job_tokens);

work *work_create(fake_queue *queue, size_t jobs, size_t tokens, int32_t id, uint64_t deadline_ns);
void work_destroy(work *w);
qr_status work_submit(fake_machine *machine, work *w);

/** Waits for finished() of a threaded schedule. */
void work_wait(work *w);

/** How many jobs were run; each result is checked. */
size_t work_computed(const work *w);

#endif
