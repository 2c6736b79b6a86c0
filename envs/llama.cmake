# Read by CMake within llama.cpp's project() (CMAKE_PROJECT_<name>_INCLUDE). llama-cpp-python asks for llama.cpp's library of helpers,
# which nothing of it loads; compiling it takes as long as all else.
set(LLAMA_BUILD_COMMON OFF)
