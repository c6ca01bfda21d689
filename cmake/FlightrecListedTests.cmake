# SPDX-License-Identifier: Apache-2.0
# Tests that a runner in Python names itself: `run.py --list --plain` prints one a line, its fields divided by ";".

# Sets OUT to the lines of FOLDER/run.py, each with "|" between its fields (so that a list of lists survives CMake);
# configures again when a Python file in FILES (a glob below FOLDER) changes.
function(flightrec_listed_tests out folder files)
  file(GLOB sources CONFIGURE_DEPENDS "${folder}/${files}")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${sources})
  execute_process(COMMAND ${Python3_EXECUTABLE} "${folder}/run.py" --list --plain
    OUTPUT_VARIABLE lines COMMAND_ERROR_IS_FATAL ANY)
  string(REPLACE ";" "|" lines "${lines}")
  string(REGEX MATCHALL "[^\n]+" lines "${lines}")
  set(${out} "${lines}" PARENT_SCOPE)
endfunction()
