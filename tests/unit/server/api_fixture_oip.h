/* tests: requests of the Open Inference Protocol with what stands behind their JSON. */
#ifndef QR_TESTS_SERVER_API_FIXTURE_OIP_H
#define QR_TESTS_SERVER_API_FIXTURE_OIP_H

#include "server/api_fixture.h"

/** The route of a tiny model, named after its kind. */
#define OIP_INFER(kind) "/v2/models/" kind "/infer"

/** A new exchange with this body, in memory of its exact size; `json_bytes` as the head says it.
 * Decoded, run and encoded: returns the answer's body and its code. */
qr_text oip_ask(api_fixture *fixture, const char *route, qr_text body, size_t json_bytes,
                int *code);

/** As oip_ask with a JSON and a tail behind it (len 0: none, and the head says nothing). */
qr_text oip_ask_tail(api_fixture *fixture, const char *route, const char *json, const void *tail,
                     size_t tail_bytes, int *code);

/** Expects that code and that body, `{"error":"..."}` around the sentence. */
void oip_expect_error(api_fixture *fixture, const char *route, const char *json, const void *tail,
                      size_t tail_bytes, int code, const char *sentence);

#endif
