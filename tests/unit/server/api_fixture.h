/* A request through decode, the model and encode, without a server. */
#ifndef QR_TESTS_SERVER_API_FIXTURE_H
#define QR_TESTS_SERVER_API_FIXTURE_H

#include "server/api/api.h"

typedef struct api_fixture {
    qr_pipeline *models[4];
    size_t models_len;
    qr_serving *serving;    /* of all of them */
    qr_pipeline *embedding; /* models/minilm, or NULL when it was not fetched */
    qr_api *api;
    bool ready;
    qr_exchange *exchange; /* of the latest request */
    qr_quota *quota;       /* of exchanges; NULL: none */
} api_fixture;

/** Loads what there is under models/: squad-3l first, then minilm. Criterion forks: call it inside
 * the test. */
void api_fixture_init(api_fixture *fixture);

/** Loads a tiny model of each kind, named after it (tiny_models.h). */
void api_fixture_init_tiny(api_fixture *fixture);
void api_fixture_deinit(api_fixture *fixture);

/** A new exchange for the route, with its body; what qr_api_route says. Without a body: GET. */
qr_status api_begin(api_fixture *fixture, const char *route, qr_text body);

/** The answer's body (valid until the next call) and its code. */
qr_text api_ask(api_fixture *fixture, const char *route, qr_text body, int *code);

/** Runs the latest request's jobs (again): their results are then as the engine writes them. */
void api_run_jobs(api_fixture *fixture);

/** As api_ask with both checked: the body must be `expected`. */
void api_expect(api_fixture *fixture, const char *route, const char *body, int code,
                const char *expected);

#endif
