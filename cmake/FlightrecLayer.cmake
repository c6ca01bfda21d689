# flightrec_layer(name SOURCES … MAY_USE … LIBRARIES …): one folder of userspace/ as one static library.
#
# MAY_USE names the folders it may include; the arrows are those of docs/architecture.md. A folder that is not
# listed there may not be linked, and scripts/check-layers checks the #include lines against the same list.
set(FLIGHTREC_ARROWS_base "")
set(FLIGHTREC_ARROWS_kernel base)
set(FLIGHTREC_ARROWS_flight base)
set(FLIGHTREC_ARROWS_ship base flight)
set(FLIGHTREC_ARROWS_record base kernel flight ship)
set(FLIGHTREC_ARROWS_replay base flight)
set(FLIGHTREC_ARROWS_cli base kernel flight record ship replay)

function(flightrec_layer name)
  cmake_parse_arguments(LAYER "" "" "SOURCES;MAY_USE;LIBRARIES" ${ARGN})
  foreach(other IN LISTS LAYER_MAY_USE)
    if(NOT other IN_LIST FLIGHTREC_ARROWS_${name})
      message(FATAL_ERROR "layering: userspace/${name} may not depend on userspace/${other} (cmake/FlightrecLayer.cmake)")
    endif()
  endforeach()
  add_library(flightrec_${name} STATIC ${LAYER_SOURCES})
  target_link_libraries(flightrec_${name} PUBLIC flightrec_schemas ${LAYER_LIBRARIES})
  foreach(other IN LISTS LAYER_MAY_USE)
    target_link_libraries(flightrec_${name} PUBLIC flightrec_${other})
  endforeach()
  flightrec_warnings(flightrec_${name})
endfunction()
