# flightrec_warnings(target): the project's warnings, all errors, and the chosen sanitizers.
function(flightrec_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wcast-align
    -Wconversion -Wnull-dereference -Wdouble-promotion -Wformat=2 -Wimplicit-fallthrough -Werror)
  if(CMAKE_UNITY_BUILD)
    # It holds the unity file for a header, and every type in an unnamed namespace for one that others see differently.
    target_compile_options(${target} PRIVATE -Wno-subobject-linkage)
  endif()
  if(FLIGHTREC_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${FLIGHTREC_SANITIZE} -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=${FLIGHTREC_SANITIZE})
  endif()
endfunction()
