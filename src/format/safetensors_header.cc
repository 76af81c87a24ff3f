#include "format/safetensors_header.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/bytes.h"
#include "base/error.h"
#include "format/json.h"
#include "format/metadata_text.h"
#include "format/model.h"

namespace tl {
namespace {

using Value = JsonDocument::Value;
using Field = JsonDocument::Field;

// Fields of one tensor, or one part of the header, seen so far.
enum Seen : unsigned { kDType = 1, kShape = 2, kOffsets = 4, kMetadata = 8 };

class HeaderParser {
 public:
  HeaderParser(const std::string& path, simdjson::padded_string json)
      : path_(path),
        // About 100 bytes for each tensor in files of every origin.
        expected_tensors_(json.size() / 100),
        document_(path, std::move(json), kSafeTensorsJsonOffset) {}

  SafeTensorsHeader Parse() {
    header_.tensors.reserve(expected_tensors_);
    document_.ReadObject([this](JsonDocument::Object object) {
      for (Field field : object) {
        const std::string_view key = document_.Key(field);
        if (key == "__metadata__") {
          Once(kMetadata, seen_, "__metadata__");
          ReadMetadata(field.value());
        } else {
          ReadTensor(key, field.value());
        }
      }
    });
    return std::move(header_);
  }

 private:
  template <class... Args>
  [[noreturn]] void FailHere(fmt::format_string<Args...> text, Args&&... args) {
    Fail(ErrorKind::kInput, "{}: {}", document_.Here(),
         fmt::format(text, std::forward<Args>(args)...));
  }

  template <class... Args>
  [[noreturn]] void FailTensor(fmt::format_string<Args...> text,
                               Args&&... args) {
    Fail(ErrorKind::kInput, "{}: tensor {}: {}", path_,
         QuoteName(header_.tensors.back().name),
         fmt::format(text, std::forward<Args>(args)...));
  }

  void Once(Seen what, unsigned& seen, std::string_view name) {
    if (seen & what) FailHere("{} is there twice", QuoteName(name));
    seen |= what;
  }

  void ReadMetadata(Value value) {
    if (value.type() == simdjson::ondemand::json_type::null) {
      return document_.Skip(value);  // as MLX writes it when there is none
    }
    JsonDocument::Object object;
    if (value.get_object().get(object) != simdjson::SUCCESS) {
      FailHere("'__metadata__' is no object");
    }
    for (Field field : object) {
      const std::string key(document_.Key(field));
      std::string_view text;
      if (field.value().get_string().get(text) != simdjson::SUCCESS) {
        FailHere("'__metadata__': {} is not a text", QuoteName(key));
      }
      if (!header_.metadata.Add(key, FromText(text))) {
        FailHere("'__metadata__': {} is there twice", QuoteName(key));
      }
    }
  }

  void ReadTensor(std::string_view name, Value value) {
    header_.tensors.emplace_back().name = name;
    JsonDocument::Object object;
    if (value.get_object().get(object) != simdjson::SUCCESS) {
      FailTensor("is described by something other than an object");
    }
    unsigned seen = 0;
    for (Field field : object) {
      const std::string_view key = document_.Key(field);
      if (key == "dtype") {
        Once(kDType, seen, key);
        ReadDType(field.value());
      } else if (key == "shape") {
        Once(kShape, seen, key);
        header_.tensors.back().shape = ReadNumbers(key, field.value());
      } else if (key == "data_offsets") {
        Once(kOffsets, seen, key);
        ReadOffsets(field.value());
      } else {
        document_.Skip(field.value());
      }
    }
    if (!(seen & kDType)) FailTensor("has no dtype");
    if (!(seen & kShape)) FailTensor("has no shape");
    if (!(seen & kOffsets)) FailTensor("has no data_offsets");
  }

  void ReadDType(Value value) {
    std::string_view text;
    if (value.get_string().get(text) != simdjson::SUCCESS) {
      FailTensor("dtype is not a text");
    }
    SafeTensorsTensor& tensor = header_.tensors.back();
    tensor.dtype = FindSafeTensorsDType(text);
    if (!tensor.dtype) tensor.foreign_type = text;
  }

  std::vector<int64_t> ReadNumbers(std::string_view what, Value value) {
    simdjson::ondemand::array array;
    if (value.get_array().get(array) != simdjson::SUCCESS) {
      FailTensor("{} is not a list", what);
    }
    std::vector<int64_t> numbers;
    for (auto element : array) {
      // A missing comma or bracket is an error of the list, not of a number.
      Value number = element.value();
      uint64_t parsed;
      if (number.get_uint64().get(parsed) != simdjson::SUCCESS ||
          parsed > std::numeric_limits<int64_t>::max()) {
        FailTensor("{} has {} where a whole number below 2^63 is needed", what,
                   QuoteName(Trimmed(number.raw_json_token())));
      }
      numbers.push_back(static_cast<int64_t>(parsed));
    }
    return numbers;
  }

  static std::string_view Trimmed(std::string_view token) {
    return token.substr(0, token.find_last_not_of(" \t\r\n") + 1);
  }

  void ReadOffsets(Value value) {
    const std::vector<int64_t> offsets = ReadNumbers("data_offsets", value);
    if (offsets.size() != 2) {
      FailTensor("data_offsets has length {}, not 2", offsets.size());
    }
    if (offsets[1] < offsets[0]) {
      FailTensor("data_offsets end at {}, before they begin at {}", offsets[1],
                 offsets[0]);
    }
    header_.tensors.back().begin = offsets[0];
    header_.tensors.back().end = offsets[1];
  }

  const std::string& path_;
  const size_t expected_tensors_;
  JsonDocument document_;
  SafeTensorsHeader header_;
  unsigned seen_ = 0;
};

// A dimension of 0 makes the product 0 whatever the others are.
std::optional<int64_t> CountElements(const std::vector<int64_t>& shape) {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  std::optional<int64_t> elements = 1;
  for (int64_t dim : shape) {
    if (elements) elements = CheckedMultiply(*elements, dim);
  }
  return elements;
}

void CheckSize(const std::string& path, SafeTensorsTensor& tensor) {
  const auto where = [&] {
    return fmt::format("{}: tensor {}", path, QuoteName(tensor.name));
  };
  const std::optional<int64_t> elements = CountElements(tensor.shape);
  if (!elements) {
    Fail(ErrorKind::kInput, "{}: shape {} has 2^63 elements or more", where(),
         ShapeText(tensor.shape));
  }
  tensor.elements = *elements;
  if (!tensor.dtype) return;  // its size is only known to its maker
  const DTypeInfo& info = Info(*tensor.dtype);
  if (tensor.elements % info.block_elements != 0) {
    Fail(ErrorKind::kInput,
         "{}: {} {} elements do not fill whole bytes; {} share {}", where(),
         tensor.elements, info.name, info.block_elements, info.block_bytes);
  }
  const auto needed =
      CheckedMultiply(tensor.elements / info.block_elements, info.block_bytes);
  if (!needed || *needed != tensor.end - tensor.begin) {
    Fail(ErrorKind::kInput,
         "{}: {} {} needs {} bytes, data_offsets [{}, {}] hold {}", where(),
         info.name, ShapeText(tensor.shape),
         needed ? fmt::format("{}", *needed) : "2^63 or more", tensor.begin,
         tensor.end, tensor.end - tensor.begin);
  }
}

// Each tensor begins where the one before it ends.
void CheckCoverage(const std::string& path,
                   const std::vector<SafeTensorsTensor>& tensors,
                   int64_t data_bytes) {
  std::vector<uint32_t> order(tensors.size());
  std::iota(order.begin(), order.end(), 0);
  const auto earlier = [&](uint32_t a, uint32_t b) {
    return std::pair(tensors[a].begin, tensors[a].end) <
           std::pair(tensors[b].begin, tensors[b].end);
  };
  if (!std::is_sorted(order.begin(), order.end(), earlier)) {
    std::sort(order.begin(), order.end(), earlier);
  }
  int64_t end = 0;
  const SafeTensorsTensor* before = nullptr;
  for (uint32_t i : order) {
    const SafeTensorsTensor& tensor = tensors[i];
    if (tensor.begin > end) {
      Fail(ErrorKind::kInput,
           "{}: tensor {} begins at data byte {}; bytes {} to {} belong to no "
           "tensor",
           path, QuoteName(tensor.name), tensor.begin, end, tensor.begin - 1);
    }
    if (tensor.begin < end && tensor.name == before->name) {
      Fail(ErrorKind::kInput, "{}: two tensors are called {}", path,
           QuoteName(tensor.name));
    }
    if (tensor.begin < end) {
      Fail(ErrorKind::kInput,
           "{}: tensor {} begins at data byte {}, inside tensor {}, which ends "
           "at {}",
           path, QuoteName(tensor.name), tensor.begin, QuoteName(before->name),
           end);
    }
    end = tensor.end;
    if (tensor.end > tensor.begin) before = &tensor;
  }
  if (end > data_bytes) {
    Fail(ErrorKind::kInput,
         "{}: has {} data bytes, its tensors need {}; the file is incomplete",
         path, data_bytes, end);
  }
  if (end < data_bytes) {
    Fail(ErrorKind::kInput, "{}: has {} data bytes, its tensors need only {}",
         path, data_bytes, end);
  }
}

}  // namespace

SafeTensorsHeader ParseSafeTensorsHeader(const std::string& path,
                                         simdjson::padded_string json,
                                         int64_t data_bytes) {
  SafeTensorsHeader header = HeaderParser(path, std::move(json)).Parse();
  for (SafeTensorsTensor& tensor : header.tensors) CheckSize(path, tensor);
  CheckCoverage(path, header.tensors, data_bytes);
  return header;
}

}  // namespace tl
