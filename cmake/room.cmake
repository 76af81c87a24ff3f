# tl_room(NAME [NEEDS room...] [LIBS target...]) makes the static library tl_NAME
# from src/NAME/*.cc, and remembers src/NAME/*_test.cc for tl_room_tests().
function(tl_room name)
  cmake_parse_arguments(ROOM "" "" "NEEDS;LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cc)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "(_test|/main)\\.cc$")
  add_library(tl_${name} STATIC ${sources})
  target_include_directories(tl_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  # A room may be one that this build leaves out; who needs it is told.
  foreach(need ${ROOM_NEEDS})
    if(TARGET tl_${need})
      target_link_libraries(tl_${name} PUBLIC tl_${need})
    else()
      target_compile_definitions(tl_${name} PRIVATE TL_WITHOUT_${need})
    endif()
  endforeach()
  target_link_libraries(tl_${name} PUBLIC ${ROOM_LIBS})
  # Where CMAKE_UNITY_BUILD is on, some files of a room are compiled as one: what is
  # in their unnamed namespaces has a name that no other file of the room uses.
  set_target_properties(tl_${name} PROPERTIES LINKER_LANGUAGE CXX
                        UNITY_BUILD_BATCH_SIZE 6)
  set_property(GLOBAL APPEND PROPERTY TL_ROOMS ${name})
  set_property(GLOBAL PROPERTY TL_TESTS_${name} ${tests})
endfunction()

# A room whose sources are compiled once per SIMD target by Highway.
function(tl_simd_room name)
  # The floor is SSE4 (x86-64-v2, every x86 processor since 2011): below it,
  # Highway 1.0.3 under g++ 12 has only one-lane vectors. The CPU backend says so
  # on an older machine. Debian's Highway 1.0.3 leaves AVX3_DL out unless asked.
  target_compile_definitions(tl_${name} PUBLIC HWY_WANT_SSE4 HWY_WANT_SSSE3
                             HWY_WANT_AVX3_DL)
  # Highway includes each file again for each target.
  set_target_properties(tl_${name} PROPERTIES UNITY_BUILD OFF)
  if(TL_SIMD_TARGETS)
    target_compile_definitions(tl_${name} PUBLIC
      "HWY_DISABLED_TARGETS=(~(HWY_BASELINE_SCALAR|HWY_SSE4|${TL_SIMD_TARGETS}))")
  endif()
endfunction()

# A room with a kernel for each row of the op tables: src/kernel_tests/ is no room,
# but tests of such a room, compiled for each of them. They find the room's kernels
# in namespace tl::NAME and how to run one in NAME/kernel_test_target.h.
function(tl_kernel_tests name)
  file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/kernel_tests/*_test.cc)
  set_property(GLOBAL APPEND PROPERTY TL_TESTS_${name} ${tests})
  set_property(GLOBAL PROPERTY TL_TEST_DEFINITIONS_${name} TL_KERNELS=${name}
               TL_KERNEL_TARGET="${name}/kernel_test_target.h")
endfunction()

# A room with .proto files: src/NAME/x.proto is included as "NAME/x.pb.h". What
# protoc writes is not ours to warn about. (CMake's protobuf_generate() would put
# the files where "src/NAME/x.pb.h" names them.)
function(tl_proto_room name)
  set(generated ${CMAKE_BINARY_DIR}/generated)
  file(MAKE_DIRECTORY ${generated})
  file(GLOB protos CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.proto)
  foreach(proto ${protos})
    get_filename_component(stem ${proto} NAME_WE)
    set(outputs ${generated}/${name}/${stem}.pb.cc ${generated}/${name}/${stem}.pb.h)
    add_custom_command(OUTPUT ${outputs} DEPENDS ${proto} VERBATIM
      COMMAND protobuf::protoc -I ${CMAKE_SOURCE_DIR}/src --cpp_out ${generated} ${proto})
    set_source_files_properties(${outputs} PROPERTIES COMPILE_OPTIONS -w)
    target_sources(tl_${name} PRIVATE ${outputs})
  endforeach()
  target_include_directories(tl_${name} SYSTEM PUBLIC ${generated})
endfunction()

# One test program per room, so that a room is built and tested alone.
function(tl_room_tests)
  include(GoogleTest)
  get_property(rooms GLOBAL PROPERTY TL_ROOMS)
  foreach(room ${rooms})
    get_property(tests GLOBAL PROPERTY TL_TESTS_${room})
    if(tests)
      add_executable(tl_${room}_test ${tests})
      target_link_libraries(tl_${room}_test PRIVATE tl_${room} GTest::gtest_main)
      get_property(definitions GLOBAL PROPERTY TL_TEST_DEFINITIONS_${room})
      target_compile_definitions(tl_${room}_test PRIVATE
        TL_SOURCE_DIR="${CMAKE_SOURCE_DIR}" ${definitions})
      # Each test's helpers are its own, whatever their names.
      set_target_properties(tl_${room}_test PROPERTIES UNITY_BUILD OFF)
      # It is what they test that takes time to run, but for kernels, whose tests
      # compute all of it once more.
      if(TL_SANITIZE AND NOT definitions)
        target_compile_options(tl_${room}_test PRIVATE -O0)
      endif()
      add_test(NAME ${room} COMMAND tl_${room}_test)
    endif()
  endforeach()
endfunction()
