// The constants of a MIL program: where the numbers of a `const` are, and what
// a `constexpr_…` operation computes from them. The latter only when it is
// used: here its operands are found and checked, and chained into a
// NumberSource. Operands are attributes up to CoreML6 and 7, inputs from
// CoreML8 on.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "format/blob_file.h"
#include "format/mil_type.h"
#include "format/number_source.h"

namespace tl {

// Numbers as they are stored: in a weight file, or in the program itself.
struct MilNumbers {
  MilTensorType type;
  std::span<const std::byte> bytes;
  std::shared_ptr<const MappedFile> file;  // null in the program
};

// The numbers of a tensor value; nothing for texts, lists and the like. `what`
// begins messages.
std::optional<MilNumbers> NumbersOf(const coreml::spec::Value& value,
                                    BlobFiles& blobs, const std::string& what);

// The operations by the names of their results, of one function.
using MilProducers =
    std::unordered_map<std::string_view, const coreml::spec::Operation*>;

// What a compressed constant is once it is computed.
struct MilComputed {
  MilTensorType type;
  std::string encoding;  // "4-bit table", "sparse"
  std::shared_ptr<const NumberSource> numbers;
  // Run before the first use: what only a look at all the bytes can tell.
  std::function<void()> check;
};

bool IsConstexpr(const coreml::spec::Operation& operation);

// The dense result of a constexpr_… operation; nothing for those whose result
// is sparse, which only another one reads. The bytes of `operation` and the
// files of `blobs` must outlive the result.
std::optional<MilComputed> ComputedOf(const coreml::spec::Operation& operation,
                                      const MilProducers& producers,
                                      BlobFiles& blobs,
                                      const std::string& what);

// The value of an attribute or input of this name that is not an operation's
// result, or null.
const coreml::spec::Value* FindValue(const coreml::spec::Operation& operation,
                                     const std::string& name);

}  // namespace tl
