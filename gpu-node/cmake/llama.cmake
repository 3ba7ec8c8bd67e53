# Adapts llama.cpp's build.
#
# CMake includes this file after each `project()` there: `.cargo/config.toml` sets CMAKE_PROJECT_INCLUDE, and
# llama-cpp-sys-2's build script passes on the variables of the environment that begin with `CMAKE_` or `GGML_`.

include_guard(GLOBAL)

set(HEARTH_CMAKE_DIR "${CMAKE_CURRENT_LIST_DIR}" CACHE INTERNAL "The folder of this file")
include("${HEARTH_CMAKE_DIR}/cpu-variants.cmake")
include("${HEARTH_CMAKE_DIR}/unity-build.cmake")

# llama.cpp's helper library and the third-party code that only its tools use: Hearth calls nothing of them. They are
# a third of the files to compile. The binding's feature `common` asks for the library, and llama-cpp-2 0.1.160 always
# asks for that feature.
set(LLAMA_BUILD_COMMON OFF CACHE BOOL "llama: build common utils library" FORCE)
set(HEARTH_UNUSED_DIRECTORIES vendor)

# A list of the files to compile: `cargo xtask` shows how many of them are done.
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# The targets and functions to change exist once a subdirectory was added, and are used soon after.
macro(add_subdirectory directory)
    if(NOT "${directory}" IN_LIST HEARTH_UNUSED_DIRECTORIES)
        _add_subdirectory("${directory}" ${ARGN})
    endif()
    if("${directory}" STREQUAL "ggml-cpu")
        hearth_filter_variants()
    elseif("${directory}" STREQUAL "src" AND TARGET llama)
        hearth_unite_models()
    endif()
endmacro()
