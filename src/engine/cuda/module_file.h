/* engine/cuda/module_file.h: finds and loads libquerent_cuda.so.
 *
 *     const qr__cuda_module *module;
 *     status = qr__module_file_load(&module, &error);       // the first time; then the same again
 *
 * It is looked for beside the file that this code stands in (the program, or libquerent.so) and in
 * the installed library folder as seen from there, never by LD_LIBRARY_PATH or the working
 * directory: what is loaded into the process is what was installed with it. It stays loaded. Any
 * thread may call.
 */
#ifndef QR_ENGINE_CUDA_MODULE_FILE_H
#define QR_ENGINE_CUDA_MODULE_FILE_H

#include "engine/cuda/module_abi.h"

#define QR__MODULE_FILE_NAME   "libquerent_cuda.so"
#define QR__MODULE_FILE_PLACES 2u

/** The places where it may be, best first, absolute, given the file that holds this code: beside
 * "/usr/bin/querent", or in the lib folder of its prefix. QR_BAD_OPTION: a path is too long. */
QR_MUST_USE qr_status qr__module_file_places(const char *self, bool is_program,
                                             char out[QR__MODULE_FILE_PLACES][4096],
                                             qr_error *error);

/** What is wrong with a module, or QR_OK: another ABI, version, stamp or size. */
QR_MUST_USE qr_status qr__module_file_check(const qr__cuda_module *module, const char *path,
                                            qr_error *error);

/** QR_NOT_IMPLEMENTED: there is no module. QR_BAD_OPTION, with what to do: it cannot be loaded, or
 * is another version's. */
QR_MUST_USE qr_status qr__module_file_load(const qr__cuda_module **out, qr_error *error);

/** As qr_cuda_hung. */
bool qr__module_file_hung(void);

#endif
