/* cli/flags.h: the options of one command, parsed from one table.
 *
 *     const char *model = NULL;
 *     size_t threads = 0;
 *     const qr_flag flags[] = {
 *         {"model", QR_FLAG_TEXT, &model, .value = "DIR", .help = "the model's directory",
 * .required = true},
 *         {"threads", QR_FLAG_NUMBER, &threads, .max = 256, .value = "N", .help = "threads; 0: one
 * a core"}, {0}}; const qr_command command = {"embed", "lines in, one JSON array a line out",
 * flags, .operand = NULL}; int code = qr_flags_parse(&command, argc, argv, NULL); if (code !=
 * QR_FLAGS_GO) return code;                               // --help was printed (0), or the fault
 * was named on stderr (2)
 *
 * Takes "--name value" and "--name=value"; a BOOL takes no value. (`querent serve` has its own,
 * larger table: config/.)
 */
#ifndef QR_CLI_FLAGS_H
#define QR_CLI_FLAGS_H

#include "base/base.h"

typedef enum qr_flag_type {
    QR_FLAG_BOOL,   /* bool * */
    QR_FLAG_NUMBER, /* size_t *, within [min, max] */
    QR_FLAG_REAL,   /* double *, within [min, max], finite */
    QR_FLAG_TEXT    /* const char **, borrowed from argv */
} qr_flag_type;

typedef struct qr_flag {
    const char *name; /* without "--"; NULL ends a table */
    qr_flag_type type;
    void *out; /* keeps its value, the default, when the option is not given */
    size_t min, max;
    const char *value; /* what help calls the value: "DIR" */
    const char *help;
    bool required;
} qr_flag;

typedef struct qr_command {
    const char *name;     /* "embed", "bench engine" */
    const char *about;    /* one line for help */
    const qr_flag *flags; /* ends with {0} */
    const char
        *operand; /* the one argument without "--" ("PATH"), always required; NULL: none is taken */
} qr_command;

#define QR_FLAGS_GO (-1)

/** Parses argv[0..argc) into the table's variables and, where the command takes one, `*operand`.
 * Returns QR_FLAGS_GO, or the exit code with which the command is to end. */
QR_MUST_USE int qr_flags_parse(const qr_command *command, int argc, char **argv,
                               const char **operand);

/** Says "querent NAME: message" and where help is, on stderr; returns the exit code 2. For faults
 * that a table cannot see. */
int qr_flags_refuse(const qr_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
