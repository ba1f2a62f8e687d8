/* tests: a model with a directory for saved plans beside its files, and engines made there. */
#ifndef QR_TESTS_SAVED_FIXTURE_H
#define QR_TESTS_SAVED_FIXTURE_H

#include "engine/saved/saved_file.h"
#include "forward_fixture.h"

#define SAVED_FLOATS (512 * 64)

/** What an engine answers to the texts of saved_answer. */
struct saved_answer {
    qr_plan_info plan;
    size_t len;
    float floats[SAVED_FLOATS];
};

/** A temporary directory with a folder "plans" (mode 0700) in it. */
void saved_dir_create(char dir[64]);

/** The one finished file of dir/plans: its name in `out`. False: there is none. Fails the test when
 * there is anything else. */
bool saved_file_name(const char *dir, char out[300]);

/** Contents of that file, or of a new one of its name; read: free() it. */
char *saved_file_read(const char *dir, size_t *len);
void saved_file_write(const char *dir, const char *data, size_t len);

/** Makes an engine of dir's model (hidden size 64 at most) as `options` say, with dir/plans for a
 * cache unless they name one, and keeps what it says. */
void saved_start(const char *dir, qr_engine_options options, struct saved_answer *out);

/** Fails the test unless both have the same plan and the same bits. */
void saved_equal(const struct saved_answer *a, const struct saved_answer *b);

#endif
