# flightrec_bpf_skeleton(target sources…): compiles bpf/*.bpf.c with clang, links them into one object with bpftool and
# generates its skeleton header. Needs nothing of the building machine's kernel: no BTF, no vmlinux.h.
find_program(FLIGHTREC_CLANG NAMES clang clang-14 clang-16 REQUIRED)
find_program(FLIGHTREC_BPFTOOL NAMES bpftool PATHS /usr/sbin /sbin REQUIRED)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(FLIGHTREC_BPF_ARCH arm64)
else()
  set(FLIGHTREC_BPF_ARCH x86)
endif()

function(flightrec_bpf_skeleton target)
  set(out "${CMAKE_CURRENT_BINARY_DIR}/bpf")
  file(MAKE_DIRECTORY "${out}")
  file(GLOB headers CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/bpf/include/*.h" "${PROJECT_SOURCE_DIR}/schemas/flightrec/*.h")
  set(objects "")
  foreach(source IN LISTS ARGN)
    get_filename_component(stem "${source}" NAME_WE)
    set(object "${out}/${stem}.bpf.o")
    add_custom_command(OUTPUT "${object}"
      COMMAND ${FLIGHTREC_CLANG} -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror -Wno-missing-declarations
              -D__TARGET_ARCH_${FLIGHTREC_BPF_ARCH} "-I${PROJECT_SOURCE_DIR}" "-I${PROJECT_SOURCE_DIR}/bpf/include"
              -idirafter /usr/include/${CMAKE_LIBRARY_ARCHITECTURE}
              "-ffile-prefix-map=${PROJECT_SOURCE_DIR}=." -c "${source}" -o "${object}"
      DEPENDS "${source}" ${headers} COMMENT "BPF ${stem}" VERBATIM)
    list(APPEND objects "${object}")
  endforeach()
  add_custom_command(OUTPUT "${out}/flightrec.bpf.o"
    COMMAND ${FLIGHTREC_BPFTOOL} gen object "${out}/flightrec.bpf.o" ${objects} DEPENDS ${objects} VERBATIM)
  add_custom_command(OUTPUT "${out}/flightrec.skel.h"
    COMMAND ${FLIGHTREC_BPFTOOL} gen skeleton "${out}/flightrec.bpf.o" name flightrec_bpf > "${out}/flightrec.skel.h"
    DEPENDS "${out}/flightrec.bpf.o" COMMENT "BPF skeleton" VERBATIM)
  add_custom_target(${target}_skeleton DEPENDS "${out}/flightrec.skel.h")
  add_dependencies(${target} ${target}_skeleton)
  target_include_directories(${target} SYSTEM PRIVATE "${out}")
endfunction()
