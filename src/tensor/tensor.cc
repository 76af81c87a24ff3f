#include "tensor/tensor.h"

#include <cstdlib>

#include "base/error.h"
#include "base/memory.h"

namespace tl {
namespace {

constexpr int64_t kAlignment = 64;  // one AVX-512 vector, one cache line
constexpr int64_t kSlack = 64;
constexpr int64_t kMaxBytes = int64_t{1} << 62;
constexpr int64_t kHugePage = int64_t{2} << 20;

}  // namespace

int64_t BytesOf(DType dtype, int64_t elements) {
  const DTypeInfo& info = Info(dtype);
  if (elements % info.block_elements != 0) {
    Fail(ErrorKind::kInput, "{} {} elements do not fill whole blocks of {}",
         elements, info.name, info.block_elements);
  }
  int64_t bytes;
  if (__builtin_mul_overflow(elements / info.block_elements,
                             int64_t{info.block_bytes}, &bytes) ||
      bytes > kMaxBytes) {
    Fail(ErrorKind::kInput, "{} {} elements need more than 2^62 bytes",
         elements, info.name);
  }
  return bytes;
}

int64_t Tensor::bytes() const { return BytesOf(dtype, size()); }

std::shared_ptr<std::byte> AllocateHost(int64_t bytes) {
  RequireMemory(bytes);
  // Large blocks on huge pages: a 2 MB page costs one TLB miss, not 512.
  const int64_t alignment = bytes >= kHugePage ? kHugePage : kAlignment;
  const int64_t padded = (bytes + kSlack + alignment - 1) / alignment * alignment;
  void* block = std::aligned_alloc(alignment, padded);
  if (block == nullptr) {
    Fail(ErrorKind::kInternal, "out of memory: {} bytes could not be allocated",
         bytes);
  }
  if (alignment == kHugePage) AdviseHugePages(block, padded);
  return {static_cast<std::byte*>(block), [](std::byte* p) { std::free(p); }};
}

Tensor MakeTensor(DType dtype, const Shape& shape) {
  return {dtype, Device::kCpu, shape,
          AllocateHost(BytesOf(dtype, shape.size()))};
}

}  // namespace tl
