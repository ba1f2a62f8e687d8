# Compiler flags: warnings, hardening, sanitizers, and the instruction sets of single files.
add_library(qr_flags INTERFACE)
target_compile_options(qr_flags INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes
    -Wmissing-prototypes -Wvla -fno-math-errno -ffp-contract=off)
target_compile_definitions(qr_flags INTERFACE _GNU_SOURCE QR_VERSION="${PROJECT_VERSION}")
target_include_directories(qr_flags INTERFACE ${PROJECT_SOURCE_DIR}/src)

if(QR_SANITIZE)
    target_compile_options(qr_flags INTERFACE -fsanitize=${QR_SANITIZE} -fno-omit-frame-pointer
        -fno-sanitize-recover=all)
    target_link_options(qr_flags INTERFACE -fsanitize=${QR_SANITIZE})
else()
    target_compile_options(qr_flags INTERFACE -fstack-protector-strong)
    if(CMAKE_BUILD_TYPE STREQUAL "Release")
        target_compile_definitions(qr_flags INTERFACE _FORTIFY_SOURCE=2)
    endif()
    target_link_options(qr_flags INTERFACE -Wl,-z,relro,-z,now)
endif()
if(QR_ASSERTIONS OR QR_CHAOS OR QR_SANITIZE OR CMAKE_BUILD_TYPE STREQUAL "Debug")
    target_compile_definitions(qr_flags INTERFACE QR_ASSERTIONS) # base/assert.h
endif()
if(QR_CHAOS)
    target_compile_definitions(qr_flags INTERFACE QR_CHAOS) # base/chaos.h
endif()
if(NOT QR_CORE)
    target_compile_definitions(qr_flags INTERFACE QR_OPENBLAS) # engine/cpu/kernels/gemm_list.h
endif()
if(QR_COVERAGE)
    # Threads count too: counters that lose counts make gcov print negative ones.
    target_compile_options(qr_flags INTERFACE --coverage -fprofile-update=atomic)
    target_link_options(qr_flags INTERFACE --coverage)
endif()

# A kernel file says its instruction set in its name: gelu__avx512f.c. Nothing else gets such flags.
set(QR_ISA_avx2 -mavx2 -mfma -mf16c -mbmi2)
set(QR_ISA_avx2vnni ${QR_ISA_avx2} -mavxvnni)
set(QR_ISA_avx512f ${QR_ISA_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mprefer-vector-width=512)
set(QR_ISA_avx512vnni ${QR_ISA_avx512f} -mavx512vnni)
set(QR_ISA_avx512bf16 ${QR_ISA_avx512vnni} -mavx512bf16)
set(QR_ISA_amx ${QR_ISA_avx512bf16} -mamx-tile -mamx-int8 -mamx-bf16)
set(QR_ISA_neon "") # every aarch64 has it
set(QR_ISA_neondot -march=armv8.2-a+dotprod)
set(QR_ISA_neoni8mm -march=armv8.2-a+dotprod+i8mm+bf16)
set(QR_ISA_NAMES_x86_64 avx2 avx2vnni avx512f avx512vnni avx512bf16 amx)
set(QR_ISA_NAMES_aarch64 neon neondot neoni8mm)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    set(QR_ISA_NAMES_HERE ${QR_ISA_NAMES_x86_64})
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    set(QR_ISA_NAMES_HERE ${QR_ISA_NAMES_aarch64})
endif()

# Gives every *__ISA.c among `sources` its flags; drops those of other machines from the list, and OpenBLAS's without it.
# gcc takes minutes over ASan's and UBSan's checks of unrolled intrinsics. So these files are compiled with less optimization
# (no slower when they run; under TSan it would be), without checks of null pointers and objects' sizes, which ASan finds too, and
# without any where this machine cannot run them: half of all the time that the build would take.
function(qr_isa_files out)
    set(kept "")
    set(checks "")
    if(QR_SANITIZE MATCHES "address")
        set(checks -O1 -fno-sanitize=null,object-size)
    endif()
    if(QR_COVERAGE)
        set(checks -Wno-sign-conversion) # at -O0 gcc's AVX-512 intrinsics are macros, and these warn
    endif()
    if(QR_SANITIZE)
        file(STRINGS /proc/cpuinfo has_avx512f REGEX "^flags.* avx512f" LIMIT_COUNT 1)
    endif()
    foreach(source IN LISTS ARGN)
        if(source MATCHES "__([a-z0-9]+)\\.c$")
            set(isa ${CMAKE_MATCH_1})
            if(isa IN_LIST QR_ISA_NAMES_HERE)
                set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${QR_ISA_${isa}};${checks}")
                if(QR_SANITIZE AND isa MATCHES "avx512|amx" AND NOT has_avx512f)
                    set_property(SOURCE ${source} APPEND PROPERTY COMPILE_OPTIONS -fno-sanitize=all)
                endif()
            elseif(isa IN_LIST QR_ISA_NAMES_x86_64 OR isa IN_LIST QR_ISA_NAMES_aarch64)
                continue()
            elseif(isa STREQUAL "openblas" AND QR_CORE)
                continue()
            endif()
        endif()
        list(APPEND kept ${source})
    endforeach()
    set(${out} ${kept} PARENT_SCOPE)
endfunction()
