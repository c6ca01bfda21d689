# flightrec_warnings(target): the project's warnings, all errors, and the chosen sanitizers.
function(flightrec_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wcast-align
    -Wconversion -Wnull-dereference -Wdouble-promotion -Wformat=2 -Wimplicit-fallthrough -Werror)
  if(FLIGHTREC_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${FLIGHTREC_SANITIZE} -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=${FLIGHTREC_SANITIZE})
  endif()
endfunction()
