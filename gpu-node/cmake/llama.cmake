# Adapts llama.cpp's build.
#
# CMake includes this file after each `project()` there: `.cargo/config.toml` sets CMAKE_PROJECT_INCLUDE, and
# llama-cpp-sys-2's build script passes on the variables of the environment that begin with `CMAKE_` or `GGML_`.

include_guard(GLOBAL)

set(HEARTH_CMAKE_DIR "${CMAKE_CURRENT_LIST_DIR}" CACHE INTERNAL "The folder of this file")
include("${HEARTH_CMAKE_DIR}/cpu-variants.cmake")
include("${HEARTH_CMAKE_DIR}/unity-build.cmake")

# A list of the files to compile: `cargo xtask` shows how many of them are done.
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# The targets and functions to change exist once a subdirectory was added, and are used soon after.
macro(add_subdirectory directory)
    _add_subdirectory("${directory}" ${ARGN})
    if("${directory}" STREQUAL "ggml-cpu")
        hearth_filter_variants()
    elseif("${directory}" STREQUAL "src" AND TARGET llama)
        hearth_unite_models()
    endif()
endmacro()
