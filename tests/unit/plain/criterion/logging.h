/* cr_log_* stand in criterion.h here. */
#include <criterion/criterion.h>
