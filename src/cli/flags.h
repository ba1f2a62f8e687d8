/* cli/flags.h: the options of one command, parsed from one table.
 *
 *     const char *model = NULL;
 *     size_t top_k = 1;
 *     qr_option_value threads;
 *     const qr__flag flags[] = {
 *         {"model", QR_FLAG_TEXT, &model, .value = "PATH", .help = "a directory",
 *          .required = true},
 *         {"top-k", QR_FLAG_NUMBER, &top_k, .min = 1, .max = 9, .value = "N", .help = "answers"},
 *         qr__flag_option(QR_OPTION_THREADS, "0", &threads),
 *         {0}};
 *     const qr__command command = {"span", "answers questions", flags, .operand = NULL};
 *     int code = qr__flags_parse(&command, argc, argv, NULL);
 *     if (code != QR_FLAGS_GO)
 *         return code;        // help was printed (0), or the fault was named on stderr (2)
 *
 * Takes "--name value" and "--name=value"; a BOOL takes no value. (`querent serve` reads its larger
 * table from more sources: config/.)
 */
#ifndef QR_CLI_FLAGS_H
#define QR_CLI_FLAGS_H

#include "config/config.h"

typedef enum qr__flag_type {
    QR_FLAG_BOOL,   /* bool * */
    QR_FLAG_NUMBER, /* size_t *, within [min, max] */
    QR_FLAG_REAL,   /* double *, within [min, max], finite */
    QR_FLAG_TEXT,   /* const char **, borrowed from argv */
    QR_FLAG_OPTION  /* qr_option_value *: a row of serve's table, made by qr__flag_option() */
} qr__flag_type;

typedef struct qr__flag {
    const char *name; /* without "--"; NULL ends a table */
    qr__flag_type type;
    void *out; /* keeps its value, the default, when the option is not given */
    size_t min, max;
    const char *value; /* what help calls the value: "DIR" */
    const char *help;
    bool required;
    qr_option option;     /* of an OPTION */
    const char *fallback; /* of an OPTION: this command's default, as it would be typed */
} qr__flag;

typedef struct qr__command {
    const char *name;      /* "embed", "bench engine" */
    const char *about;     /* for help; lines of at most 100 characters */
    const qr__flag *flags; /* ends with {0} */
    /* The arguments without "--" ("PATH", "MODEL DIR"), always required; NULL: none is taken. */
    const char *operand;
} qr__command;

/** A flag that is an option of `querent serve`: name, bounds and help are its row's, and its values
 * are parsed as there. `out` gets the parsed `fallback` unless the flag is given. */
qr__flag qr__flag_option(qr_option option, const char *fallback, qr_option_value *out);

#define QR_FLAGS_GO (-1)

/** Parses argv[0..argc) into the table's variables and, where the command takes them,
 * operand[0] and operand[1].
 * Returns QR_FLAGS_GO, or the exit code with which the command is to end. */
QR_MUST_USE int qr__flags_parse(const qr__command *command, int argc, char **argv,
                                const char **operand);

/** Says "querent NAME: message" and where help is, on stderr; returns the exit code 2. For faults
 * that a table cannot see. */
int qr__flags_refuse(const qr__command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
