/* cli/cli.h: the entry points of querent's commands, one file each; main.c picks one.
 *
 * Each takes the arguments behind its own name ("querent embed --model X" calls qr_cli_embed(2,
 * {"--model", "X"})) and returns the process's exit code: 0, 1 for a fault at work, 2 for a bad
 * command line.
 */
#ifndef QR_CLI_H
#define QR_CLI_H

int qr_cli_serve(int argc, char **argv);
int qr_cli_embed(int argc, char **argv);
int qr_cli_span(int argc, char **argv);
int qr_cli_tokenize(int argc, char **argv);
int qr_cli_inspect(int argc, char **argv);
int qr_cli_bench_engine(int argc, char **argv);
int qr_cli_bench_http(int argc, char **argv);
int qr_cli_version(int argc, char **argv);

#define QR_EXIT_OK    0
#define QR_EXIT_FAULT 1
#define QR_EXIT_USAGE 2

#endif
