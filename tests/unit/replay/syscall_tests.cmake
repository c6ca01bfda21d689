# Tests of the syscall table and of its decoder. Included by CMakeLists.txt beside it.
flightrec_unit_test(syscall_text_test SOURCES syscall_text_test.cpp syscall_table_test.cpp LAYERS replay)

# What the decoder shows against what strace shows: the same calls go to both.
add_executable(syscall_caller syscall_caller.c)
add_executable(syscall_decode_tool syscall_decode_tool.cpp)
add_executable(syscall_trace_tool syscall_trace_tool.cpp)
foreach(tool syscall_decode_tool syscall_trace_tool)
  target_link_libraries(${tool} PRIVATE flightrec_replay)
  flightrec_warnings(${tool})
  target_compile_options(${tool} PRIVATE -Wno-null-dereference)  # std::ifstream with g++-12
endforeach()

find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(table "${PROJECT_SOURCE_DIR}/schemas/syscalls")
set(constants "${PROJECT_SOURCE_DIR}/userspace/replay/constants.cpp" "${PROJECT_SOURCE_DIR}/userspace/replay/constants_socket.cpp")
set(compare "${PROJECT_SOURCE_DIR}/tests/kernel/strace_compare.py")

add_test(NAME syscall_table.header_is_fresh COMMAND Python3::Interpreter "${table}/generate.py" --check)
add_test(NAME syscall_table.numbers_are_those_of_the_kernel_headers COMMAND Python3::Interpreter "${table}/check_numbers.py")
add_test(NAME syscall_constants.are_those_of_the_headers
  COMMAND Python3::Interpreter "${CMAKE_CURRENT_SOURCE_DIR}/syscall_constants_check.py" --compiler "${CMAKE_C_COMPILER}" ${constants})
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
  add_test(NAME syscall_text.is_what_strace_prints
    COMMAND Python3::Interpreter "${CMAKE_CURRENT_SOURCE_DIR}/syscall_differential.py" --caller $<TARGET_FILE:syscall_caller>
            --decoder $<TARGET_FILE:syscall_decode_tool> --constants ${constants})
  add_test(NAME syscall_text.real_programs_as_strace_prints_them
    COMMAND Python3::Interpreter "${CMAKE_CURRENT_SOURCE_DIR}/syscall_programs.py" --tracer $<TARGET_FILE:syscall_trace_tool>
            --compare "${compare}")
endif()
set_tests_properties(syscall_table.header_is_fresh syscall_table.numbers_are_those_of_the_kernel_headers
  syscall_constants.are_those_of_the_headers PROPERTIES LABELS unit TIMEOUT 120 SKIP_RETURN_CODE 77)
if(TEST syscall_text.is_what_strace_prints)
  set_tests_properties(syscall_text.is_what_strace_prints syscall_text.real_programs_as_strace_prints_them
    PROPERTIES LABELS unit TIMEOUT 600 SKIP_RETURN_CODE 77)
endif()
