/* tests/unit/config/config_fixture.h: a config from a YAML text and arguments, in a clean
 * environment. */
#ifndef QR_TESTS_CONFIG_FIXTURE_H
#define QR_TESTS_CONFIG_FIXTURE_H

#include "config/config.h"

/** A temporary file with this text; the caller unlinks and frees the name. */
char *write_yaml(const char *yaml);

/** What qr_config_load says for `yaml` (NULL: no file) and NULL-ended `argv`. */
qr_status try_config(const char *yaml, const char *const *argv, qr_config **out, qr_error *error);

/** A config that must load. */
qr_config *load_config(const char *yaml, const char *const *argv);

/** The error of one that must not. */
qr_error refusal(const char *yaml, const char *const *argv);

/** ... whose message holds `part`. */
void expect_refusal(const char *yaml, const char *part, const char *const *argv);

#endif
