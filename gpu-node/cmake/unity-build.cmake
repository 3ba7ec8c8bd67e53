# Compiles llama.cpp's files of model architectures several at a time.
#
# There are about 160 of them, small, each with the same large headers: one by one they take two and a half times as long.

# Their static functions have names that other files have too.
set(HEARTH_COMPILED_ALONE glm5-next.cpp)

function(hearth_unite_models)
    get_target_property(sources llama SOURCES)
    foreach(source IN LISTS sources)
        get_filename_component(name "${source}" NAME)
        if(NOT source MATCHES "models/" OR name IN_LIST HEARTH_COMPILED_ALONE)
            set_source_files_properties("${source}" TARGET_DIRECTORY llama PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
        endif()
    endforeach()
    set_target_properties(llama PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 12)
endfunction()
