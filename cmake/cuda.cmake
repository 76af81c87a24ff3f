# TL_CUDA says what becomes of room cuda:
#   auto     on where there is a toolkit that compiles it and no sanitizer, else off
#   on       kernels compiled by nvcc; the driver is looked for when tl runs
#   emulate  kernels compiled for this processor (src/cuda/emulator.h), to test them
#            where there is no card
#   off      left out
# Sets TL_CUDA to one of the last three. TL_CUDA_ARCHITECTURES: what nvcc compiles
# for; by default every generation from Turing on, and PTX for those to come.
set(TL_CUDA auto CACHE STRING "The CUDA backend: auto, on, emulate or off")
set(TL_CUDA_ARCHITECTURES
    "75-real;80-real;86-real;89-real;90a-real;90-virtual"
    CACHE STRING "What CUDA kernels are compiled for")
# The first with C++20 and sm_90a.
set(TL_CUDA_LEAST_VERSION 12.0)

if(TL_CUDA STREQUAL "auto")
  set(TL_CUDA off)
  if(NOT TL_SANITIZE)
    find_package(CUDAToolkit ${TL_CUDA_LEAST_VERSION} QUIET)
    find_file(TL_CUBLASLT_H cublasLt.h PATHS ${CUDAToolkit_INCLUDE_DIRS}
              NO_DEFAULT_PATH)
    if(CUDAToolkit_FOUND AND TARGET CUDA::cudart_static AND TL_CUBLASLT_H)
      # Whether nvcc gets on with the host's compiler.
      set(ENV{CUDACXX} ${CUDAToolkit_NVCC_EXECUTABLE})
      include(CheckLanguage)
      check_language(CUDA)
      if(CMAKE_CUDA_COMPILER)
        set(TL_CUDA on)
      endif()
    endif()
  endif()
elseif(NOT TL_CUDA MATCHES "^(on|emulate|off)$")
  message(FATAL_ERROR "TL_CUDA is '${TL_CUDA}'; expected auto, on, emulate or off")
endif()
if(TL_CUDA STREQUAL "on")
  find_package(CUDAToolkit ${TL_CUDA_LEAST_VERSION} REQUIRED)
  if(NOT CMAKE_CUDA_COMPILER)
    set(CMAKE_CUDA_COMPILER ${CUDAToolkit_NVCC_EXECUTABLE})
  endif()
  enable_language(CUDA)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know it
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  endif()
endif()
message(STATUS "CUDA backend: ${TL_CUDA}")

# A room with kernels in *.cu.
function(tl_cuda_room name)
  file(GLOB kernels CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cu)
  target_sources(tl_${name} PRIVATE ${kernels})
  # nvcc takes one at a time, and so does the emulator.
  set_target_properties(tl_${name} PROPERTIES UNITY_BUILD OFF)
  if(TL_CUDA STREQUAL "on")
    set_target_properties(tl_${name} PROPERTIES
      CUDA_ARCHITECTURES "${TL_CUDA_ARCHITECTURES}")
    # What numbers are (base/half.h, base/random.h, tensor/decode.h) is constexpr,
    # and the same on every device.
    target_compile_options(tl_${name} PRIVATE
      $<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr>)
    # Every operation of what every device makes alike rounds.
    set_source_files_properties(${CMAKE_SOURCE_DIR}/src/${name}/random.cu
      ${CMAKE_SOURCE_DIR}/src/${name}/next_token.cu PROPERTIES
      COMPILE_OPTIONS -fmad=false)
    target_link_libraries(tl_${name} PUBLIC CUDA::cudart_static)
  else()
    set_source_files_properties(${kernels} PROPERTIES LANGUAGE CXX)
    target_compile_definitions(tl_${name} PUBLIC TL_CUDA_EMULATED)
    target_compile_options(tl_${name} PUBLIC -Wno-unknown-pragmas)
  endif()
endfunction()
