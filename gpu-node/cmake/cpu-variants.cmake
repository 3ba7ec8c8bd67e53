# Selects the variants of llama.cpp's CPU backend that are compiled, and the compiler of the AMX variant.
#
# GGML_CPU_VARIANTS:
#   host        the two best variants for the processor at hand, and the generic one (the default)
#   all         every variant of this architecture, for a folder that runs on other machines (`cargo xtask dist`)
#   a;b;c       these variants
#
# Where the processor's features cannot be read (no /proc/cpuinfo), `host` means `all`.

if(NOT DEFINED GGML_CPU_VARIANTS)
    set(GGML_CPU_VARIANTS host)
endif()

# The file with the features of the processor at hand. The tests have files of other processors.
if(NOT DEFINED HEARTH_CPUINFO)
    set(HEARTH_CPUINFO /proc/cpuinfo)
endif()

# Sets `result` to the variants that the processor at hand can run, best first, in the order of llama.cpp's own
# score (ggml/src/ggml-cpu/arch/*/cpu-feats.cpp). Empty where that is not known.
function(hearth_host_variants result)
    set(${result} "" PARENT_SCOPE)
    if(NOT EXISTS "${HEARTH_CPUINFO}")
        return()
    endif()
    file(STRINGS "${HEARTH_CPUINFO}" lines REGEX "^(flags|Features)[ \t]*:" LIMIT_COUNT 1)
    if(NOT lines)
        return()
    endif()
    string(REGEX REPLACE "^[^:]*:" "" features "${lines}")
    string(REGEX REPLACE "[ \t]+" ";" features "${features}")

    set(avx sse4_2 avx)
    set(avx2 ${avx} f16c fma avx2 bmi2)
    set(avx512 ${avx2} avx512f avx512cd avx512vl avx512dq avx512bw)
    set(needs_sapphirerapids ${avx512} avx512vbmi avx512_vnni avx512_bf16 amx_tile amx_int8)
    set(needs_zen4 ${avx512} avx512vbmi avx512_vnni avx512_bf16)
    set(needs_cooperlake ${avx512} avx512_vnni avx512_bf16)
    set(needs_icelake ${avx512} avx512vbmi avx512_vnni)
    set(needs_cascadelake ${avx512} avx512_vnni)
    set(needs_cannonlake ${avx512} avx512vbmi)
    set(needs_skylakex ${avx512})
    set(needs_alderlake ${avx2} avx_vnni)
    set(needs_haswell ${avx2})
    set(needs_piledriver ${avx} f16c fma)
    set(needs_ivybridge ${avx} f16c)
    set(needs_sandybridge ${avx})
    set(needs_sse42 sse4_2)
    set(needs_armv9.2_2 asimddp sve sve2 i8mm sme)
    set(needs_armv9.2_1 asimddp sve i8mm sme)
    set(needs_armv8.6_2 asimddp asimdhp sve i8mm sve2)
    set(needs_armv8.6_1 asimddp asimdhp sve i8mm)
    set(needs_armv8.2_3 asimddp asimdhp sve)
    set(needs_armv8.2_2 asimddp asimdhp)
    set(needs_armv8.2_1 asimddp)

    set(found "")
    foreach(variant IN ITEMS sapphirerapids zen4 cooperlake icelake cascadelake cannonlake skylakex alderlake haswell
                             piledriver ivybridge sandybridge sse42
                             armv9.2_2 armv9.2_1 armv8.6_2 armv8.6_1 armv8.2_3 armv8.2_2 armv8.2_1)
        set(missing "")
        foreach(feature IN LISTS needs_${variant})
            if(NOT feature IN_LIST features)
                set(missing ${feature})
            endif()
        endforeach()
        if(NOT missing)
            list(APPEND found ${variant})
        endif()
    endforeach()
    set(${result} ${found} PARENT_SCOPE)
endfunction()

# Sets `result` to the variants to compile; empty for all of them.
function(hearth_wanted_variants result)
    set(wanted ${GGML_CPU_VARIANTS})
    if(wanted STREQUAL "host")
        hearth_host_variants(wanted)
        if(wanted)
            # Two, so that one that fails its self-test has a fast substitute. Older than AVX2, one is enough.
            list(SUBLIST wanted 0 2 wanted)
            list(FILTER wanted EXCLUDE REGEX "^$")
            list(GET wanted 0 best)
            if(best STREQUAL "haswell")
                set(wanted haswell)
            endif()
            list(APPEND wanted x64 armv8.0_1)
        endif()
    elseif(wanted STREQUAL "all")
        set(wanted "")
    endif()
    set(${result} ${wanted} PARENT_SCOPE)
endfunction()

# Sets `compiler` to a Clang for C++ where the compiler at hand breaks AMX code, and to FALSE where it compiles it well.
# Empty: neither is there.
#
# GCC before 14, but for 13.3 and 12.4, drops the stores of a tile configuration before `ldtilecfg`
# (https://gcc.gnu.org/bugzilla/show_bug.cgi?id=114098): the code ends in SIGILL.
function(hearth_amx_compiler compiler)
    set(version ${CMAKE_CXX_COMPILER_VERSION})
    set(repaired FALSE)
    if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU"
       OR version VERSION_GREATER_EQUAL 14
       OR (version VERSION_GREATER_EQUAL 13.3 AND version VERSION_LESS 14)
       OR (version VERSION_GREATER_EQUAL 12.4 AND version VERSION_LESS 13))
        set(repaired TRUE)
    endif()
    if(repaired)
        set(${compiler} FALSE PARENT_SCOPE)
        return()
    endif()
    find_program(HEARTH_CLANGXX NAMES clang++ clang++-20 clang++-19 clang++-18 clang++-17 clang++-16 clang++-15 clang++-14)
    if(HEARTH_CLANGXX)
        set(${compiler} ${HEARTH_CLANGXX} PARENT_SCOPE)
    else()
        set(${compiler} "" PARENT_SCOPE)
    endif()
endfunction()

# Defines llama.cpp's function that adds one variant anew: it skips the variants that are not wanted.
function(hearth_filter_variants)
    hearth_wanted_variants(wanted)
    set_property(GLOBAL PROPERTY HEARTH_WANTED_VARIANTS "${wanted}")
    hearth_amx_compiler(clang)
    set_property(GLOBAL PROPERTY HEARTH_AMX_CLANG "${clang}")

    function(ggml_add_cpu_backend_variant_impl tag_name)
        get_property(wanted GLOBAL PROPERTY HEARTH_WANTED_VARIANTS)
        get_property(clang GLOBAL PROPERTY HEARTH_AMX_CLANG)
        if(tag_name AND wanted AND NOT tag_name IN_LIST wanted)
            return()
        endif()
        if(tag_name STREQUAL "sapphirerapids" AND clang STREQUAL "")
            message(STATUS "Leaving out the AMX variant: GCC ${CMAKE_CXX_COMPILER_VERSION} breaks it, and no clang++ is installed")
            return()
        endif()
        _ggml_add_cpu_backend_variant_impl("${tag_name}")
        if(tag_name STREQUAL "sapphirerapids" AND clang)
            # The launcher drops the compiler that CMake puts behind it, and starts Clang in its place.
            set_target_properties(ggml-cpu-${tag_name} PROPERTIES
                C_COMPILER_LAUNCHER "${HEARTH_CMAKE_DIR}/with-clang.sh;${clang};-x;c"
                CXX_COMPILER_LAUNCHER "${HEARTH_CMAKE_DIR}/with-clang.sh;${clang};-x;c++")
            # Clang before 16 has AMX under other names of these macros; without them llama.cpp leaves its kernels out.
            target_compile_definitions(ggml-cpu-${tag_name} PRIVATE __AMX_TILE__ __AMX_INT8__)
        endif()
    endfunction()
endfunction()
