/* config/config.c: the layers, lowest first: defaults, YAML file, environment, flags. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/option.h"

#define FLAG_PREFIX     "--"
#define FLAG_PREFIX_LEN (sizeof FLAG_PREFIX - 1)

/* The lowest layer goes through the same door as the others, so a default that its own row would
 * refuse cannot pass any test. */
static qr_status load_defaults(qr_config *config, qr_error *error) {
    for (qr_option option = 0; option < QR_OPTION_COUNT; option++) {
        bool list = qr__option_rows[option].type == QR_OPTION_TYPE_LIST;
        qr_text value = qr_text_of(qr__option_rows[option].fallback);
        qr_status status = qr__option_set(config, option, &value, list ? 0 : 1,
                                          (qr__origin){.kind = QR_ORIGIN_DEFAULT}, error);
        if (status != QR_OK)
            return status;
    }
    return QR_OK;
}

/* A list in one variable: items separated by commas or newlines; empty ones are dropped. */
static size_t split(const char *value, qr_text *items, size_t items_max) {
    size_t len = 0;
    for (const char *at = value; *at != '\0';) {
        size_t item = strcspn(at, ",\n");
        if (item > 0 && len < items_max)
            items[len] = (qr_text){at, item};
        len += item > 0;
        at += item + (at[item] != '\0');
    }
    return qr_min(len, items_max);
}

#define LIST_ITEMS_MAX 256 /* above every list's own bound, which makes the message */

static qr_status load_variable(qr_config *config, qr_option option, qr_error *error) {
    char name[QR__OPTION_NAME_BYTES];
    qr_text items[LIST_ITEMS_MAX];
    qr__option_variable(qr_option_name(option), name);
    const char *value = getenv(name);
    if (value == NULL || *value == '\0') /* an empty variable is how shells say "not set" */
        return QR_OK;
    size_t len = 1;
    items[0] = qr_text_of(value);
    if (qr__option_rows[option].type == QR_OPTION_TYPE_LIST)
        len = split(value, items, LIST_ITEMS_MAX);
    return qr__option_set(config, option, items, len, (qr__origin){.kind = QR_ORIGIN_ENVIRONMENT},
                          error);
}

/* Variables that nothing knows are other programs' business, but one that was an option's is a
 * setting that would be lost without a word. */
static qr_status refuse_renamed_variables(qr_error *error) {
    for (size_t i = 0; i < qr__option_renames_len; i++) {
        char old[QR__OPTION_NAME_BYTES], now[QR__OPTION_NAME_BYTES];
        qr__option_variable(qr__option_renames[i].old, old);
        qr__option_variable(qr_option_name(qr__option_renames[i].now), now);
        const char *value = getenv(old);
        if (value != NULL && *value != '\0')
            return qr_error_set(error, QR_BAD_OPTION, "%s: is now %s", old, now);
    }
    return QR_OK;
}

static qr_status load_environment(qr_config *config, qr_error *error) {
    qr_status status = refuse_renamed_variables(error);
    for (qr_option option = 0; option < QR_OPTION_COUNT && status == QR_OK; option++)
        status = load_variable(config, option, error);
    return status;
}

/* --no-NAME is --NAME=false of an option that is on or off. */
static qr_option find_negated(qr_text name) {
    static const char no[] = "no-";
    const size_t len = sizeof no - 1;
    if (name.len <= len || memcmp(name.data, no, len) != 0)
        return QR_OPTION_COUNT;
    qr_option option = qr__option_find((qr_text){name.data + len, name.len - len});
    return option != QR_OPTION_COUNT && qr__option_rows[option].type == QR_OPTION_TYPE_FLAG
               ? option
               : QR_OPTION_COUNT;
}

/* One flag at argv[*at]: its option and value; *at moves behind it. */
static qr_status next_flag(int argc, char **argv, int *at, qr_option *option, qr_text *value,
                           qr_error *error) {
    const char *word = argv[*at];
    size_t len = strcspn(word, "=");
    if (strncmp(word, FLAG_PREFIX, FLAG_PREFIX_LEN) != 0 || word[FLAG_PREFIX_LEN] == '\0')
        return qr_error_set(error, QR_BAD_OPTION,
                            "%.200s: unexpected argument; options begin with --", word);
    qr_text name = {word + FLAG_PREFIX_LEN, len - FLAG_PREFIX_LEN};
    *option = qr__option_find(name);
    bool negated = *option == QR_OPTION_COUNT;
    if (negated)
        *option = find_negated(name);
    if (*option == QR_OPTION_COUNT || (negated && word[len] == '='))
        return qr__option_unknown("", FLAG_PREFIX, name, error);
    (*at)++;
    if (word[len] == '=')
        *value = qr_text_of(word + len + 1);
    else if (qr__option_rows[*option].type == QR_OPTION_TYPE_FLAG)
        *value = qr_text_of(negated ? "false" : "true");
    else if (*at < argc)
        *value = qr_text_of(argv[(*at)++]);
    else
        return qr_error_set(error, QR_BAD_OPTION, "%s: needs a value", word);
    return QR_OK;
}

/* Sets from flags only `only`, or all but CONFIG when it is QR_OPTION_COUNT. A scalar given twice:
 * the last wins; a list collects. */
static qr_status load_flags(qr_config *config, int argc, char **argv, qr_option only,
                            qr_error *error) {
    const qr__origin origin = {.kind = QR_ORIGIN_FLAG};
    qr_text *items = calloc((size_t)argc + 1, sizeof *items);
    qr_status status = items != NULL ? QR_OK : QR_NO_MEMORY;
    for (qr_option option = 0; option < QR_OPTION_COUNT && status == QR_OK; option++) {
        size_t len = 0;
        for (int at = 0; at < argc && status == QR_OK;) {
            qr_option found = QR_OPTION_COUNT;
            qr_text value = {0};
            status = next_flag(argc, argv, &at, &found, &value, error);
            if (status == QR_OK && found == option) {
                len = qr__option_rows[option].type == QR_OPTION_TYPE_LIST ? len : 0;
                items[len++] = value;
            }
        }
        if (status == QR_OK && len > 0 && (only == QR_OPTION_COUNT || only == option))
            status = qr__option_set(config, option, items, len, origin, error);
    }
    free(items);
    return status;
}

/* Only what is certainly this machine. No name but localhost is taken for it: what another one
 * resolves to may change tomorrow. */
static bool is_loopback(const char *host) {
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6);
    return strcmp(host, "localhost") == 0;
}

/* Whether anything listens on --host. */
static bool uses_host(const qr_config *config) {
    return qr_config_text(config, QR_OPTION_UDS) == NULL ||
           qr_config_given(config, QR_OPTION_PORT) ||
           qr_config_number(config, QR_OPTION_OPS_PORT) != 0;
}

qr_status qr_config_check_remote(const qr_config *config, const char *source, const char *where,
                                 qr_error *error) {
    if (qr_config_text(config, QR_OPTION_API_KEY_FILE) != NULL)
        return QR_OK;
    if (qr_config_flag(config, QR_OPTION_ADMIN) &&
        qr_config_text(config, QR_OPTION_ADMIN_KEY_FILE) == NULL)
        return qr_error_set(error, QR_BAD_OPTION,
                            "%s: on %.200s anybody could unload models; give --admin-key-file",
                            qr_config_source(config, QR_OPTION_ADMIN), where);
    if (!qr_config_flag(config, QR_OPTION_ALLOW_REMOTE))
        return qr_error_set(
            error, QR_BAD_OPTION,
            "%s %.200s: other machines could reach it, and nobody would be asked "
            "for a key; give --api-key-file, or add --allow-remote if that is meant",
            source, where);
    return QR_OK;
}

/* Rules between options. */
static qr_status check_together(const qr_config *config, qr_error *error) {
    const char *host = qr_config_text(config, QR_OPTION_HOST);
    if (config->models_len > 0 && qr_config_given(config, QR_OPTION_MODEL))
        return qr_error_set(error, QR_BAD_OPTION, "%s and %s: both name models; keep one",
                            qr_config_source(config, QR_OPTION_MODEL),
                            qr_config_model_source(config, 0));
    if (host == NULL)
        return qr_error_set(error, QR_BAD_OPTION, "%s: must not be empty",
                            qr_config_source(config, QR_OPTION_HOST));
    if (!uses_host(config) || is_loopback(host))
        return QR_OK;
    return qr_config_check_remote(config, qr_config_source(config, QR_OPTION_HOST), host, error);
}

qr_status qr_config_load(int argc, char **argv, qr_config **out, qr_error *error) {
    *out = NULL;
    qr_config *config = calloc(1, sizeof *config);
    if (config == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for the options");
    qr_arena_init(&config->arena, QR_LIMIT_CONFIG_BYTES);
    qr_status status = load_defaults(config, error);
    /* The file is named by flag or environment, so these two are asked for it before their turn. */
    if (status == QR_OK)
        status = load_variable(config, QR_OPTION_CONFIG, error);
    if (status == QR_OK)
        status = load_flags(config, argc, argv, QR_OPTION_CONFIG, error);
    const char *path = status == QR_OK ? qr_config_text(config, QR_OPTION_CONFIG) : NULL;
    if (path != NULL)
        status = qr__option_file_load(config, path, error);
    if (status == QR_OK)
        status = load_environment(config, error);
    if (status == QR_OK)
        status = load_flags(config, argc, argv, QR_OPTION_COUNT, error);
    if (status == QR_OK)
        status = check_together(config, error);
    if (status == QR_OK)
        *out = config;
    else
        qr_config_destroy(config);
    return status;
}

void qr_config_destroy(qr_config *config) {
    if (config == NULL)
        return;
    qr_arena_deinit(&config->arena);
    free(config);
}

size_t qr_config_number(const qr_config *config, qr_option option) {
    return config->settings[option].value.number;
}

bool qr_config_flag(const qr_config *config, qr_option option) {
    return config->settings[option].value.flag;
}

size_t qr_config_choice(const qr_config *config, qr_option option) {
    return config->settings[option].value.choice;
}

const char *qr_config_text(const qr_config *config, qr_option option) {
    const char *text = config->settings[option].value.text;
    return *text == '\0' ? NULL : text;
}

size_t qr_config_list(const qr_config *config, qr_option option, const char *const **items) {
    *items = config->settings[option].items;
    return config->settings[option].items_len;
}

bool qr_config_given(const qr_config *config, qr_option option) {
    return config->settings[option].given;
}

const char *qr_config_source(const qr_config *config, qr_option option) {
    return config->settings[option].source;
}
