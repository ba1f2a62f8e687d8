/* A driver that fails: at every call in turn, once or for good, from opening the device to the last
 * batch. A clear error, nothing left behind, and never a wrong answer. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/cuda/module/driver_calls.h"
#include "forward_fixture.h"
#include "gpu_fixture.h"

static char dir[64];
static struct gpu_batch drawn;
static float right[3 * 64]; /* the batch's vectors without faults */

static const struct model_options tiny = {.layers = 1,
                                          .hidden = 64,
                                          .heads = 2,
                                          .feed_forward = 64,
                                          .vocab = 50,
                                          .positions = 64,
                                          .pooling = "mean",
                                          .seed = 3};

/* What one life of an engine came to. */
struct life {
    qr_engine *engine;
    qr_context *context;
    qr_status status;
    qr_error error;
    bool answered; /* two batches */
    float vectors[3 * 64];
};

/* The log's lines about the device, counted, and the last one. */
static unsigned lost_lines;
static char lost_line[512];

static void count_line(void *state, qr_log_level level, qr_text message) {
    (void)state;
    (void)level;
    if (strstr(message.data, "is lost") == NULL)
        return;
    lost_lines++;
    snprintf(lost_line, sizeof lost_line, "%.*s", (int)message.len, message.data);
}

static void live(struct life *life) {
    const qr_engine_options options = {.precision = QR_PRECISION_F16, .device = "cuda"};
    const qr_context_options sizes = {.tokens_max = 20, .sequences_max = 3};
    const float *made = NULL;
    *life = (struct life){0};
    life->status = forward_create(dir, &options, &life->engine, &life->error);
    if (life->status == QR_OK)
        life->status = qr_context_create(life->engine, &sizes, &life->context, &life->error);
    for (int i = 0; i < 2 && life->status == QR_OK; i++) {
        life->status = qr_context_forward(life->context, &drawn.batch, QR_OUTPUT_POOLED, &made);
        if (life->status != QR_OK)
            break;
        memcpy(life->vectors, made, sizeof life->vectors);
        life->answered = true;
    }
}

static void end(struct life *life) {
    qr_context_destroy(life->context);
    qr_engine_destroy(life->engine);
}

static void set_up(void) {
    static const size_t lengths[] = {9, 1, 8, 0};
    struct life life;
    temp_dir_create(dir);
    make_model(dir, &tiny);
    gpu_fake();
    gpu_draw(&drawn, &(qr_model_info){.vocab = 50, .types = 2}, lengths, 4, false);
    live(&life);
    cr_assert_eq(life.status, QR_OK, "%s", life.error.message);
    memcpy(right, life.vectors, sizeof right);
    end(&life);
    cr_assert_eq(gpu_live(), 0);
    qr_log_set_sink(count_line, NULL);
}
static void tear_down(void) {
    gpu_batch_free(&drawn);
    temp_dir_remove(dir);
}

TestSuite(gpu_faults, .init = set_up, .fini = tear_down, .timeout = 300);

static bool same(const struct life *life) {
    return memcmp(life->vectors, right, sizeof right) == 0;
}

/* A fault that is over: what it left must be gone, and the device must serve, or be refused as
 * lost. NULL, or what is wrong. */
static const char *look_after(const char *call, bool failed_in_use, bool must_be_lost) {
    struct life again;
    static const char *const words[] = {"Destroy", "Free", "Unload", "Release"};
    bool gives_back = false; /* what was not given back is left, of course */
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        gives_back |= strstr(call, words[i]) != NULL;
    if (gpu_live() != 0 && !gives_back)
        return "something was left on the device";
    live(&again);
    bool refused = again.status == QR_BAD_OPTION && strstr(again.error.message, "restart") != NULL;
    bool served = again.status == QR_OK && same(&again);
    end(&again);
    if (!served && !refused)
        return "the device neither serves nor says that it is lost";
    if (served && must_be_lost)
        return "a broken device is used again";
    if (refused && !failed_in_use)
        return "the device is lost though nothing failed";
    return refused && lost_lines != 1 ? "a loss is not one line of the log" : NULL;
}

/* One fault in one life. */
static const char *check_fault(const char *call, unsigned nth, int code, bool sticky) {
    const struct gpu_fake *fake = gpu_fake();
    struct life life;
    unsigned before = fake->calls(call);
    fake->fail(call, nth, code, sticky);
    live(&life);
    bool in_use = fake->calls(call) - before >= nth;
    end(&life);
    if (fake->calls(call) - before < nth)
        return "";
    bool told =
        life.answered || strstr(life.error.message, "cuda") != NULL || life.status == QR_DEVICE;
    bool known = life.status == QR_OK || life.status == QR_NO_MEMORY || life.status == QR_DEVICE ||
                 life.status == QR_BAD_OPTION;
    if (life.answered && !same(&life))
        return "a wrong answer";
    if (!told || !known)
        return "no clear error";
    if (sticky && in_use && life.status == QR_OK)
        return "no error though the device is gone";
    if (!sticky)
        fake->fail(NULL, 0, 0, 0);
    return sticky ? NULL
                  : look_after(call, in_use && life.status != QR_OK,
                               code != 2 && life.status == QR_DEVICE);
}

#ifdef __SANITIZE_ADDRESS__
int __lsan_do_recoverable_leak_check(void);
#else
static int __lsan_do_recoverable_leak_check(void) {
    return 0;
}
#endif

/* In a process of its own: a lost device is one for good. False: the call is not made so often. */
static bool check_in_child(const char *call, unsigned nth, int code, bool sticky) {
    int status;
    fflush(NULL);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        alarm(60);
        const char *fault = check_fault(call, nth, code, sticky);
        if (fault == NULL && __lsan_do_recoverable_leak_check() != 0)
            fault = "memory of the host was left";
        if (fault != NULL && fault[0] != '\0')
            fprintf(stderr, "%s, use %u fails with %d%s: %s\n", call, nth, code,
                    sticky ? " for good" : "", fault);
        _exit(fault == NULL ? 0 : fault[0] == '\0' ? 1 : 2);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) < 2, "%s, use %u, %d%s: status %x", call,
              nth, code, sticky ? " for good" : "", (unsigned)status);
    return WEXITSTATUS(status) == 0;
}

/* Calls that are made only to tell of a fault, or only when passes are timed. */
static bool is_rare(const char *call) {
    return strncmp(call, "cuGetError", 10) == 0 || strncmp(call, "cuEvent", 7) == 0 ||
           strcmp(call, "cuMemGetInfo_v2") == 0;
}

/* Of a call the first uses fail, and then every seventh: loops over kernels and buckets. */
#define FIRST_USES 5
#define USES_STEP  7

static void check_every_call(int code, bool sticky) {
    static const char *const calls[] = {
#define QR_X(name, symbol, arguments) #symbol,
        QR__DRIVER_LIST(QR_X)
#undef QR_X
    };
    size_t faults = 0;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        unsigned nth = 1;
        if (strcmp(calls[i], "cuDriverGetVersion") == 0 && sticky)
            continue; /* works always: the fake excepts it as the driver does */
        while (check_in_child(calls[i], nth, code, sticky)) {
            nth += nth < FIRST_USES ? 1 : USES_STEP;
            faults++;
        }
        cr_expect(nth > 1 || is_rare(calls[i]), "%s is never called", calls[i]);
    }
    cr_assert_gt(faults, 60, "%zu", faults);
}

/* Out of memory passes: the context is as it was. */
Test(gpu_faults, every_call_may_run_out_of_memory) {
    check_every_call(2, false);
}

/* An unspecified launch failure does not, even if the driver says it only once. */
Test(gpu_faults, every_call_may_find_the_device_broken) {
    check_every_call(719, false);
}

/* An illegal address: from then on every call fails, giving back too. */
Test(gpu_faults, every_call_may_be_the_last_that_works) {
    check_every_call(700, true);
}

static qr_status forward(struct life *life) {
    const float *made = NULL;
    qr_status status = qr_context_forward(life->context, &drawn.batch, QR_OUTPUT_POOLED, &made);
    if (status == QR_OK)
        memcpy(life->vectors, made, sizeof life->vectors);
    return status;
}

Test(gpu_faults, a_launch_that_fails_fails_one_batch) {
    struct life life;
    live(&life);
    gpu_fake()->fail("cuGraphLaunch", 1, 701, 0);
    memset(life.vectors, 0, sizeof life.vectors);
    cr_assert_eq(forward(&life), QR_DEVICE);
    cr_assert_eq(forward(&life), QR_OK);
    cr_assert(same(&life));
    cr_assert_eq(lost_lines, 0);
    end(&life);
    cr_assert_eq(gpu_live(), 0);
}

/* Every context of the device, and no call of the driver is made any more. */
Test(gpu_faults, a_lost_device_answers_nobody) {
    struct life life, other;
    live(&life);
    live(&other);
    gpu_fake()->fail("cuStreamQuery", 1, 700, 1);
    cr_assert_eq(forward(&life), QR_DEVICE);
    gpu_fake()->fail(NULL, 0, 0, 0);
    unsigned launches = gpu_fake()->calls("cuGraphLaunch");
    cr_assert_eq(forward(&life), QR_DEVICE);
    cr_assert_eq(forward(&other), QR_DEVICE);
    cr_assert_eq(gpu_fake()->calls("cuGraphLaunch"), launches);
    cr_assert_eq(lost_lines, 1);
    cr_assert_not_null(strstr(lost_line, "a batch: CUDA_ERROR_ILLEGAL_ADDRESS"), "%s", lost_line);
    cr_assert(!qr_device_hangs());
    end(&other);
    end(&life);
    cr_assert_eq(gpu_live(), 0);
}

/* Also with an error that by itself leaves a device as it was. */
Test(gpu_faults, a_device_that_cannot_be_waited_for_twice_is_lost) {
    struct life life;
    live(&life);
    gpu_fake()->fail("cuStreamQuery", 1, 2, 0);
    gpu_fake()->fail("cuStreamQuery", 2, 2, 0);
    cr_assert_eq(forward(&life), QR_DEVICE);
    cr_assert_eq(forward(&life), QR_DEVICE);
    cr_assert_eq(lost_lines, 1);
    end(&life);
}

/* What went wrong on the device shows when it is waited for, and once. */
Test(gpu_faults, a_wait_that_fails_once_is_a_loss) {
    struct life life;
    live(&life);
    gpu_fake()->fail("cuStreamQuery", 1, 719, 0);
    cr_assert_eq(forward(&life), QR_DEVICE);
    cr_assert_eq(forward(&life), QR_DEVICE);
    cr_assert_eq(lost_lines, 1);
    end(&life);
}

/* The pass of a batch allocates nothing and waits once. */
Test(gpu_faults, a_pass_is_one_launch_and_one_wait) {
    static const char *const never[] = {"cuMemAlloc_v2",
                                        "cuMemHostAlloc",
                                        "cuLaunchKernelEx",
                                        "cuMemcpyHtoDAsync_v2",
                                        "cuGraphInstantiateWithFlags",
                                        "cuEventRecord"};
    unsigned before[sizeof never / sizeof never[0]];
    struct life life;
    live(&life);
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        before[i] = gpu_fake()->calls(never[i]);
    unsigned launches = gpu_fake()->calls("cuGraphLaunch");
    unsigned looks = gpu_fake()->calls("cuStreamQuery");
    cr_assert_eq(forward(&life), QR_OK);
    cr_assert_eq(gpu_fake()->calls("cuGraphLaunch"), launches + 1);
    cr_assert_eq(gpu_fake()->calls("cuStreamQuery"), looks + 2); /* the fake's least */
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        cr_assert_eq(gpu_fake()->calls(never[i]), before[i], "%s", never[i]);
    end(&life);
}

/* --- what never ends; the fake ends the process in a call that would wait for it --- */

static void expect_left(const qr_fake_cuda_live *before) {
    qr_fake_cuda_live after;
    gpu_fake()->count_live(&after);
    cr_assert_arr_eq(&after, before, sizeof after);
}

/* No thread waits for ever, nobody is answered, and nothing that the kernel may still write to is
 * given back: by contexts, engines, or devices. */
Test(gpu_faults, a_batch_that_never_ends_is_a_lost_device) {
    struct life life, other, again;
    qr_fake_cuda_live before;
    setenv("QUERENT_CUDA_WAIT_MS", "1", 1);
    live(&life);
    live(&other);
    cr_assert(life.answered && other.answered);
    gpu_fake()->count_live(&before);
    gpu_fake()->fail("cuGraphLaunch", 1, QR_FAKE_CUDA_ENDLESS, 0);
    cr_assert_eq(forward(&life), QR_DEVICE);
    unsigned launches = gpu_fake()->calls("cuGraphLaunch");
    cr_assert_eq(forward(&life), QR_DEVICE);
    cr_assert_eq(forward(&other), QR_DEVICE);
    cr_assert_eq(gpu_fake()->calls("cuGraphLaunch"), launches);
    cr_assert_eq(lost_lines, 1);
    cr_assert(qr_engine_lost(life.engine) && qr_engine_lost(other.engine));
    cr_assert(qr_device_hangs());
    end(&other);
    end(&life);
    expect_left(&before);
    live(&again);
    cr_assert_eq(again.status, QR_BAD_OPTION);
    cr_assert_not_null(strstr(again.error.message, "restart"), "%s", again.error.message);
    cr_assert_eq(lost_lines, 1);
    gpu_fake()->fail(NULL, 0, 0, 0); /* or this process could not end */
}

/* Its buffer is still read; so are the weights that have come. */
Test(gpu_faults, weights_that_never_arrive_are_a_lost_device) {
    struct life life;
    qr_fake_cuda_live left;
    setenv("QUERENT_CUDA_WAIT_MS", "1", 1);
    gpu_fake()->fail("cuMemcpyHtoDAsync_v2", 3, QR_FAKE_CUDA_ENDLESS, 0);
    live(&life);
    cr_assert_eq(life.status, QR_DEVICE);
    cr_assert_not_null(strstr(life.error.message, "sending weights: it does not end"), "%s",
                       life.error.message);
    end(&life);
    gpu_fake()->count_live(&left);
    cr_assert_eq(left.allocations, 1);
    cr_assert_eq(left.host_allocations, 1);
    cr_assert_eq(lost_lines, 1);
    gpu_fake()->fail(NULL, 0, 0, 0);
}
