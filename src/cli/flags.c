/* cli/flags.c: one pass over argv against the command's table. */
#include "cli/flags.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/output.h"

#define HELP_MAX_BYTES (64u << 10)
#define HELP_COLUMN    34
#define OPERANDS       2u

qr__flag qr__flag_option(qr_option option, const char *fallback, qr_option_value *out) {
    return (qr__flag){.name = qr_option_name(option),
                      .type = QR_FLAG_OPTION,
                      .out = out,
                      .option = option,
                      .fallback = fallback};
}

int qr__flags_refuse(const qr__command *command, const char *format, ...) {
    char message[QR_ERROR_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    fprintf(stderr, "querent %s: %s\nTry `querent %s --help`.\n", command->name, message,
            command->name);
    return QR_EXIT_USAGE;
}

static int print_help(const qr__command *command) {
    qr_buf out;
    qr_buf_init(&out, HELP_MAX_BYTES);
    qr_buf_printf(&out, "usage: querent %s", command->name);
    for (const qr__flag *flag = command->flags; flag->name != NULL; flag++)
        if (flag->required)
            qr_buf_printf(&out, " --%s %s", flag->name, flag->value);
    qr_buf_printf(&out, " [options]%s%s\n\n%s\n\n", command->operand == NULL ? "" : " ",
                  command->operand == NULL ? "" : command->operand, command->about);
    for (const qr__flag *flag = command->flags; flag->name != NULL; flag++) {
        char left[64];
        if (flag->type == QR_FLAG_OPTION) {
            qr_option_help(flag->option, flag->fallback, HELP_COLUMN, &out);
            continue;
        }
        snprintf(left, sizeof left, "  --%s%s%s", flag->name, flag->value == NULL ? "" : " ",
                 flag->value == NULL ? "" : flag->value);
        qr_buf_printf(&out, "%-*s %s\n", HELP_COLUMN, left, flag->help);
    }
    qr_buf_printf(&out, "%-*s %s\n", HELP_COLUMN, "  --help", "print this and exit");
    bool written = qr__cli_write(&out);
    qr_buf_deinit(&out);
    return written ? QR_EXIT_OK : QR_EXIT_FAULT;
}

static const qr__flag *find(const qr__command *command, qr_text name) {
    for (const qr__flag *flag = command->flags; flag->name != NULL; flag++)
        if (qr_text_is(name, flag->name))
            return flag;
    return NULL;
}

/* strtod alone would take "nan", "inf" and what overflows. */
static bool parse_real(const char *value, double *out) {
    char *end;
    errno = 0;
    *out = strtod(value, &end);
    return end != value && *end == '\0' && errno == 0 && isfinite(*out);
}

/* Stores `value` where the flag says; QR_FLAGS_GO or 2. */
static int store(const qr__command *command, const qr__flag *flag, const char *value) {
    qr_error error = {0};
    uint64_t number;
    double real;
    switch (flag->type) {
    case QR_FLAG_BOOL:
        *(bool *)flag->out = true;
        break;
    case QR_FLAG_NUMBER:
        if (!qr_text_to_u64(qr_text_of(value), flag->max, &number) || number < flag->min)
            return qr__flags_refuse(command, "--%s %s: must be a whole number in %zu..%zu",
                                    flag->name, value, flag->min, flag->max);
        *(size_t *)flag->out = (size_t)number;
        break;
    case QR_FLAG_REAL:
        if (!parse_real(value, &real) || real < (double)flag->min || real > (double)flag->max)
            return qr__flags_refuse(command, "--%s %s: must be a number in %zu..%zu", flag->name,
                                    value, flag->min, flag->max);
        *(double *)flag->out = real;
        break;
    case QR_FLAG_TEXT:
        if (*value == '\0')
            return qr__flags_refuse(command, "--%s: must not be empty", flag->name);
        *(const char **)flag->out = value;
        break;
    case QR_FLAG_OPTION:
        if (qr_option_parse(flag->option, value, flag->out, &error) != QR_OK)
            return qr__flags_refuse(command, "%s", error.message);
        break;
    }
    return QR_FLAGS_GO;
}

static bool given(uint64_t seen, const qr__command *command, const qr__flag *flag) {
    return (seen >> (flag - command->flags) & 1) != 0;
}

/* Words of "MODEL DIR"; OPERANDS at most. */
static size_t operands_of(const qr__command *command) {
    if (command->operand == NULL)
        return 0;
    return strchr(command->operand, ' ') == NULL ? 1 : OPERANDS;
}

/* Nothing required may be missing. */
static int check_complete(const qr__command *command, uint64_t seen, const char *const *given_to) {
    for (const qr__flag *flag = command->flags; flag->name != NULL; flag++)
        if (flag->required && !given(seen, command, flag))
            return qr__flags_refuse(command, "--%s %s is missing", flag->name, flag->value);
    const char *name = command->operand;
    for (size_t i = 0; i < operands_of(command); i++) {
        const size_t len = strcspn(name, " ");
        if (given_to[i] == NULL)
            return qr__flags_refuse(command, "%.*s is missing", (int)len, name);
        name += len + (name[len] == ' ');
    }
    return QR_FLAGS_GO;
}

int qr__flags_parse(const qr__command *command, int argc, char **argv, const char **operand) {
    uint64_t seen = 0; /* a bit a flag; no table comes near 64 */
    const char *positional[OPERANDS] = {NULL, NULL};
    const size_t takes = operands_of(command);
    size_t taken = 0;
    for (const qr__flag *flag = command->flags; flag->name != NULL; flag++)
        if (flag->type == QR_FLAG_OPTION && store(command, flag, flag->fallback) != QR_FLAGS_GO)
            return QR_EXIT_USAGE; /* a default that its own row refuses: a fault of ours */
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
            return print_help(command);
        if (word[0] != '-' || word[1] == '\0') {
            if (taken == takes)
                return qr__flags_refuse(command, "%s: unexpected argument", word);
            positional[taken++] = word;
            continue;
        }
        const char *equals = strchr(word, '=');
        qr_text name = {word, equals == NULL ? strlen(word) : (size_t)(equals - word)};
        const qr__flag *flag = NULL;
        if (name.len > 2 && word[1] == '-')
            flag = find(command, (qr_text){name.data + 2, name.len - 2});
        if (flag == NULL)
            return qr__flags_refuse(command, "%.*s: unknown option", (int)name.len, name.data);
        const char *value = equals == NULL ? NULL : equals + 1;
        if (flag->type == QR_FLAG_BOOL && value != NULL)
            return qr__flags_refuse(command, "--%s takes no value", flag->name);
        if (flag->type != QR_FLAG_BOOL && value == NULL) {
            if (i + 1 == argc)
                return qr__flags_refuse(command, "--%s needs a value", flag->name);
            value = argv[++i];
        }
        int code = store(command, flag, value);
        if (code != QR_FLAGS_GO)
            return code;
        seen |= UINT64_C(1) << (flag - command->flags);
    }
    for (size_t i = 0; operand != NULL && i < takes; i++)
        operand[i] = positional[i];
    return check_complete(command, seen, positional);
}
