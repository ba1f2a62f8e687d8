/* Who may ask: the key file, keys compared, origins, and what a head says before it is decided. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/access.h"
#include "server/api/api.h"
#include "server/decision.h"

static char path[] = "/tmp/querent-keys-XXXXXX";

static void write_keys(const char *text) {
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert(fputs(text, file) >= 0);
    cr_assert_eq(fclose(file), 0);
}

static void setup(void) {
    memcpy(path + strlen(path) - 6, "XXXXXX", 6);
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    close(fd);
}

static void teardown(void) {
    unlink(path);
}

TestSuite(access, .init = setup, .fini = teardown);

static bool admits(const qr__access *access, const char *authorization) {
    const qr_http_value value = {qr_text_of(authorization), authorization != NULL};
    return qr__access_admits(access, &value);
}

Test(access, keys_open_it) {
    qr__access access;
    qr_error error = {0};
    write_keys("# the first is the backend's\nalpha-1\n\n  beta.2 \r\n");
    cr_assert_eq(qr__access_init(&access, path, &error), QR_OK, "%s", error.message);
    cr_expect(admits(&access, "Bearer alpha-1"));
    cr_expect(admits(&access, "Bearer beta.2"));
    cr_expect(admits(&access, "bearer alpha-1"));
    cr_expect(admits(&access, "BEARER   alpha-1"));
    static const char *const refused[] = {NULL,
                                          "",
                                          "alpha-1",
                                          "Bearer",
                                          "Bearer ",
                                          "Bearer  ",
                                          "Beareralpha-1",
                                          "Bearer\talpha-1",
                                          "Bearer alpha-",
                                          "Bearer alpha-11",
                                          "Bearer  alpha-11",
                                          "Bearer alpha-1 beta.2",
                                          "Basic alpha-1",
                                          "Bearer # the first is the backend's"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        cr_expect(!admits(&access, refused[i]), "%s", refused[i]);
    const qr_http_value twice = {qr_text_of("Bearer alpha-1"), 2};
    cr_expect(!qr__access_admits(&access, &twice));
    qr__access_deinit(&access);
}

Test(access, a_long_key_is_none_but_its_neighbour_is) {
    char keys[2 * QR_LIMIT_KEY_BYTES] = {0}, given[2 * QR_LIMIT_KEY_BYTES] = "Bearer ";
    qr__access access;
    qr_error error = {0};
    memset(keys, 'k', QR_LIMIT_KEY_BYTES - 1);
    write_keys(keys);
    cr_assert_eq(qr__access_init(&access, path, &error), QR_OK, "%s", error.message);
    memset(given + 7, 'k', QR_LIMIT_KEY_BYTES - 1);
    cr_expect(admits(&access, given));
    given[7 + QR_LIMIT_KEY_BYTES - 1] = 'k';
    cr_expect(!admits(&access, given));
    qr__access_deinit(&access);
    keys[QR_LIMIT_KEY_BYTES - 1] = 'k';
    write_keys(keys);
    cr_expect_eq(qr__access_init(&access, path, &error), QR_BAD_OPTION);
    cr_expect_not_null(strstr(error.message, ":1: a key must be"));
    qr__access_deinit(&access);
}

Test(access, faults_of_the_file_say_the_line_and_no_key) {
    static const char *const cases[][2] = {{"", "holds no key"},
                                           {"# nothing\n\n", "holds no key"},
                                           {"good\nsecret key\n", ":2: a key must be"},
                                           {"sch\xc3\xb6n\n", ":1: a key must be"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        qr__access access;
        qr_error error = {0};
        write_keys(cases[i][0]);
        cr_expect_eq(qr__access_init(&access, path, &error), QR_BAD_OPTION);
        cr_expect_not_null(strstr(error.message, cases[i][1]), "%s", error.message);
        cr_expect_null(strstr(error.message, "secret"));
        qr__access_deinit(&access);
    }
    qr__access access;
    qr_error error = {0};
    unlink(path);
    cr_expect_eq(qr__access_init(&access, path, &error), QR_BAD_OPTION);
    qr__access_deinit(&access);
}

Test(access, a_bad_file_leaves_the_keys_of_before) {
    qr__access access;
    qr_error error = {0};
    write_keys("old");
    cr_assert_eq(qr__access_init(&access, path, &error), QR_OK);
    write_keys("new\n");
    cr_assert_eq(qr__access_reload(&access, &error), QR_OK);
    cr_expect(admits(&access, "Bearer new") && !admits(&access, "Bearer old"));
    write_keys("not a key\n");
    cr_assert_eq(qr__access_reload(&access, &error), QR_BAD_OPTION);
    cr_expect(admits(&access, "Bearer new"));
    qr__access_deinit(&access);
}

Test(access, origins) {
    static const char *const some[] = {"https://a.example", "http://b.example:8080"};
    static const char *const all[] = {"*"};
    static const char *const bad[] = {"a.example", "://", "http://", "http://a/", "https://a b"};
    qr__access access;
    qr_error error = {0};
    cr_assert_eq(qr__access_init(&access, NULL, &error), QR_OK);
    cr_assert_eq(qr__access_allow(&access, some, 2, &error), QR_OK);
    cr_expect(admits(&access, NULL), "without a key file nobody needs one");
    const qr_http_value b = {qr_text_of("http://b.example:8080"), 1};
    const qr_http_value other = {qr_text_of("http://b.example"), 1};
    const qr_http_value none = {{NULL, 0}, 0};
    cr_expect_str_eq(qr__access_origin(&access, &b), "http://b.example:8080");
    cr_expect_null(qr__access_origin(&access, &other));
    cr_expect_null(qr__access_origin(&access, &none));
    cr_assert_eq(qr__access_allow(&access, all, 1, &error), QR_OK);
    cr_expect_str_eq(qr__access_origin(&access, &other), "*");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_eq(qr__access_allow(&access, &bad[i], 1, &error), QR_BAD_OPTION, "%s", bad[i]);
}

/* The decision about a head of a server without models, in an exchange that the caller destroys. */
static qr_exchange *decide(const qr__access *access, const char *method, const char *target,
                           const qr_http_facts *more) {
    static const qr__access no_keys;
    const qr__rules rules = {.listener = QR_LISTENER_MAIN | QR_LISTENER_OPS | QR_LISTENER_ADMIN,
                             .access = access,
                             .admin = &no_keys};
    qr_http_facts facts = more == NULL ? (qr_http_facts){0} : *more;
    qr_exchange *x = qr_exchange_create(100, NULL);
    facts.method = qr_text_of(method);
    cr_expect_eq(qr__decide(&rules, qr_text_of(target), &facts, x), x->status);
    return x;
}

static qr_status status_of(const qr__access *access, const char *method, const char *target) {
    qr_exchange *x = decide(access, method, target, NULL);
    qr_status status = x->status;
    qr_exchange_destroy(x);
    return status;
}

Test(access, who_has_no_key_learns_nothing) {
    qr__access access;
    qr_error error = {0};
    write_keys("key");
    cr_assert_eq(qr__access_init(&access, path, &error), QR_OK);
    cr_expect_eq(status_of(&access, "POST", "/embed"), QR_UNAUTHORIZED);
    cr_expect_eq(status_of(&access, "GET", "/info"), QR_UNAUTHORIZED);
    cr_expect_eq(status_of(&access, "POST", "/nowhere"), QR_UNAUTHORIZED);
    cr_expect_eq(status_of(&access, "BREW", "/embed"), QR_UNAUTHORIZED);
    cr_expect_eq(status_of(&access, "GET", "/health"), QR_OK);
    cr_expect_eq(status_of(&access, "GET", "/metrics"), QR_OK);
    const qr_http_facts with = {.authorization = {qr_text_of("Bearer key"), 1}};
    qr_exchange *x = decide(&access, "POST", "/nowhere", &with);
    cr_expect_eq(x->status, QR_NO_ROUTE);
    qr_exchange_destroy(x);
    qr__access_deinit(&access);
}

Test(access, forms_of_body_and_answer) {
    static const struct {
        const char *accept;
        bool octets, html;
    } cases[] = {{"*/*", false, false},
                 {"application/octet-stream", true, false},
                 {"text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", false, true},
                 {"Application/Octet-Stream;q=1, application/json", true, false},
                 {"application/json, application/octet-stream", false, false},
                 {"*/*, application/octet-stream", false, false},
                 {"application/octet-stream;q=0, */*", false, false},
                 {"application/octet-stream; q=0.5", true, false},
                 {"application/json;q=0, application/octet-stream", true, false},
                 {"text/html;q=0", false, false},
                 {"text/html;q=0.000", false, false},
                 {"text/html; q=0.001", false, true},
                 {"text/html;q=0.5, application/json", false, false},
                 {"text/html;q=0.5, application/json;q=0.4", false, true},
                 {"*/*, text/html;q=0.9", false, false},
                 {"application/json, text/html", false, true},
                 {"text/html;q=7, */*", false, true},
                 {"text/html;q=", false, false},
                 {"text/html;seq=0", false, true},
                 {"text/*", false, false},
                 {"application/octet-streams", false, false},
                 {"", false, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const qr_http_facts facts = {.accept = {qr_text_of(cases[i].accept), 1}};
        qr_exchange *x = decide(NULL, "GET", "/info", &facts);
        cr_expect_eq(x->wants_octets, cases[i].octets, "%s", cases[i].accept);
        cr_expect_eq(x->wants_html, cases[i].html, "%s", cases[i].accept);
        qr_exchange_destroy(x);
    }
    static const char *const lengths[] = {"0", "-1", "x", "", "99999999999999999999"};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        const qr_http_facts facts = {.json_length = {qr_text_of(lengths[i]), 1}};
        qr_exchange *x = decide(NULL, "POST", "/v2/models/m/infer", &facts);
        cr_expect_eq(x->status, QR_BAD_HEADER, "%s", lengths[i]);
        qr_exchange_destroy(x);
        x = decide(NULL, "GET", "/info", &facts); /* which knows nothing of binary tensors */
        cr_expect_eq(x->status, QR_OK, "%s", lengths[i]);
        qr_exchange_destroy(x);
    }
}

Test(access, names_in_paths) {
    static const struct {
        const char *encoded, *name; /* NULL: none */
    } cases[] = {{"minilm", "minilm"},
                 {"a%2Fb", "a/b"},
                 {"a%2fb%20c", "a/b c"},
                 {"%C3%B6", "\xc3\xb6"},
                 {"", NULL},
                 {"%", NULL},
                 {"%2", NULL},
                 {"%zz", NULL},
                 {"a%00b", NULL},
                 {"%ff", NULL},
                 {"0123456789abcdefg", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char room[16];
        qr_text name = {0};
        bool good = qr_api_decode_name(qr_text_of(cases[i].encoded), room, sizeof room, &name);
        cr_expect_eq(good, cases[i].name != NULL, "%s", cases[i].encoded);
        if (good && cases[i].name != NULL)
            cr_expect(qr_text_is(name, cases[i].name), "%s", cases[i].encoded);
    }
}

Test(access, commands_need_the_servers_keys_when_they_have_none_of_their_own) {
    qr__access access;
    qr_error error = {0};
    write_keys("key");
    cr_assert_eq(qr__access_init(&access, path, &error), QR_OK);
    cr_expect_eq(status_of(&access, "POST", "/v2/repository/models/m/unload"), QR_UNAUTHORIZED);
    cr_expect_eq(status_of(NULL, "POST", "/v2/repository/models/m/unload"), QR_OK);
    qr__access_deinit(&access);
}

Test(access, pages_give_no_commands_and_commands_are_short) {
    static const char target[] = "/v2/repository/models/m/unload";
    qr_http_facts facts = {.origin = {qr_text_of("http://evil.example"), 1}};
    qr_exchange *x = decide(NULL, "POST", target, &facts);
    cr_expect_eq(x->status, QR_FORBIDDEN);
    qr_exchange_destroy(x);
    facts = (qr_http_facts){.body_bytes = 16385};
    x = decide(NULL, "POST", target, &facts);
    cr_expect_eq(x->status, QR_TOO_LARGE);
    qr_exchange_destroy(x);
    facts.body_bytes = 16384;
    x = decide(NULL, "POST", target, &facts);
    cr_expect_eq(x->status, QR_OK);
    qr_exchange_destroy(x);
}
