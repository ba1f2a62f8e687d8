/* A thread that is cancelled in a call of libquerent ends after it: nothing stays taken. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>

#include "engine/model_maker.h"
#include "library/library_fixture.h"

TestSuite(library_cancel, .timeout = 60);

static qr_lib_model *model; /* has one seat */
static char dir[64];
static atomic_int returned;
static atomic_bool done;

static bool embed(void) {
    qr_lib_text text = text_of("w7 w8");
    float vector[HIDDEN];
    return qr_lib_embed(model, &text, 1, NULL, vector, HIDDEN, NULL) == QR_LIB_OK;
}

static bool load_and_destroy(void) {
    const qr_lib_load_options options = {.struct_size = sizeof options, .threads = 3};
    qr_lib_model *own;
    if (qr_lib_model_load(dir, &options, &own, NULL) != QR_LIB_OK)
        return false;
    qr_lib_model_destroy(own);
    return true;
}

/* Is cancelled before its job begins: at the first place in it where threads end, if any. It has no
 * array of its own, whose bounds AddressSanitizer would leave behind. */
static void *cancelled(void *state) {
    bool (**job)(void) = state;
    pthread_cancel(pthread_self());
    if ((*job)())
        atomic_fetch_add(&returned, 1);
    pthread_testcancel();
    return NULL;
}

/* Has the seat nearly always, so that the others wait for it. */
static void *work(void *state) {
    qr_lib_text texts[20];
    float vectors[20 * HIDDEN];
    for (size_t i = 0; i < 20; i++)
        texts[i] = text_of("w7 w8 w9 w10 w11 w12");
    while (!atomic_load(&done))
        if (qr_lib_embed(model, texts, 20, NULL, vectors, 20 * HIDDEN, NULL) != QR_LIB_OK)
            return NULL;
    return state;
}

static void run_cancelled(bool (*job)(void)) {
    pthread_t thread;
    void *result;
    cr_assert_eq(pthread_create(&thread, NULL, cancelled, &job), 0);
    pthread_join(thread, &result);
    cr_assert_eq(result, PTHREAD_CANCELED);
}

Test(library_cancel, whoever_waits_for_a_seat_gives_it_back) {
    enum { CALLS = 200 };
    pthread_t worker;
    void *result;
    model = tiny_load(NULL, 0, 1, 1);
    cr_assert_eq(pthread_create(&worker, NULL, work, &returned), 0);
    for (int i = 0; i < CALLS; i++)
        run_cancelled(embed);
    atomic_store(&done, true);
    pthread_join(worker, &result);
    cr_assert_not_null(result);
    cr_assert_eq(returned, CALLS);
    qr_lib_model_destroy(model);
}

Test(library_cancel, a_load_and_an_end_are_whole) {
    tiny_write(dir, NULL, 0);
    run_cancelled(load_and_destroy);
    cr_assert_eq(returned, 1);
    temp_dir_remove(dir);
}
