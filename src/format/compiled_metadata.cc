// [{"specificationVersion": 7, "author": "…", "shortDescription": "…",
//   "userDefinedMetadata": {"key": "text"},
//   "inputSchema": [{"name": "x", "type": "MultiArray", "dataType": "Float16",
//                    "shape": "[1, 10]", "isOptional": "0",
//                    "hasShapeFlexibility": "1", "shapeRange": "[[1, 64], [3,
//                    3]]", "enumeratedShapes": "[[1, 10], [1, 20]]"},
//                   {"type": "Image", "width": "224", "height": "224",
//                    "colorspace": "RGB", …}, …],
//   "outputSchema": […], "stateSchema": […]}]

#include "format/compiled_metadata.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "format/coreml.h"
#include "base/file.h"
#include "format/json.h"
#include "format/mil_type.h"
#include "format/model.h"

namespace tl {
namespace {

namespace spec = coreml::spec;

constexpr int64_t kMaxMetadata = 64 << 20;  // 100,000 class labels have 2 MB

using Texts = std::map<std::string, std::string>;

struct ElementName {
  std::string_view name;
  spec::ArrayType::Element element;
  spec::DataType type;
};
constexpr auto kElements = std::to_array<ElementName>({
    {"Float16", spec::ArrayType::FLOAT16, spec::FLOAT16},
    {"Float32", spec::ArrayType::FLOAT32, spec::FLOAT32},
    {"Double", spec::ArrayType::DOUBLE, spec::FLOAT64},
    {"Int8", spec::ArrayType::INT8, spec::INT8},
    {"Int32", spec::ArrayType::INT32, spec::INT32},
});

const std::string& Find(const Texts& texts, const std::string& key) {
  static const std::string kNone;
  const auto text = texts.find(key);
  return text == texts.end() ? kNone : text->second;
}

// The whole numbers of "[[1, 64], [3, -1]]" and of "224", in order.
std::vector<int64_t> NumbersIn(std::string_view text) {
  std::vector<int64_t> numbers;
  while (true) {
    const size_t begin = text.find_first_of("-0123456789");
    if (begin == std::string_view::npos) return numbers;
    text.remove_prefix(begin);
    int64_t number = 0;
    const auto [stop, error] =
        std::from_chars(text.data(), text.data() + text.size(), number);
    text.remove_prefix(std::max<size_t>(stop - text.data(), 1));
    if (error == std::errc()) numbers.push_back(number);
  }
}

void ReadArray(const Texts& texts, spec::ArrayType& array) {
  const auto element =
      std::ranges::find(kElements, Find(texts, "dataType"), &ElementName::name);
  if (element != kElements.end()) array.set_data_type(element->element);
  const std::vector<int64_t> shape = NumbersIn(Find(texts, "shape"));
  array.mutable_shape()->Assign(shape.begin(), shape.end());
  const std::vector<int64_t> range = NumbersIn(Find(texts, "shapeRange"));
  if (!shape.empty() && range.size() == 2 * shape.size()) {
    for (size_t i = 0; i < range.size(); i += 2) {
      spec::SizeRange& one = *array.mutable_shape_range()->add_size_ranges();
      one.set_lower_bound(static_cast<uint64_t>(range[i]));
      one.set_upper_bound(range[i + 1]);
    }
    return;
  }
  const std::vector<int64_t> all = NumbersIn(Find(texts, "enumeratedShapes"));
  if (shape.empty() || all.size() % shape.size() != 0) return;
  for (auto at = all.begin(); at != all.end(); at += shape.size()) {
    array.mutable_enumerated_shapes()->add_shapes()->mutable_shape()->Assign(
        at, at + static_cast<int64_t>(shape.size()));
  }
}

void ReadImage(const Texts& texts, spec::ImageType& image) {
  const auto first = [&](const std::string& key) {
    const std::vector<int64_t> numbers = NumbersIn(Find(texts, key));
    return numbers.empty() ? 0 : numbers[0];
  };
  image.set_width(first("width"));
  image.set_height(first("height"));
  const std::string& space = Find(texts, "colorspace");
  if (space == "RGB") {
    image.set_color_space(spec::ImageType::RGB);
  } else if (space == "BGR") {
    image.set_color_space(spec::ImageType::BGR);
  } else if (space == "Grayscale16Half") {
    image.set_color_space(spec::ImageType::GRAYSCALE_FLOAT16);
  } else {
    image.set_color_space(spec::ImageType::GRAYSCALE);
  }
}

void ReadFeature(const Texts& texts, spec::Feature& feature) {
  feature.set_name(Find(texts, "name"));
  feature.set_short_description(Find(texts, "shortDescription"));
  spec::FeatureType& type = *feature.mutable_type();
  type.set_is_optional(Find(texts, "isOptional") == "1");
  const std::string& kind = Find(texts, "type");
  if (kind == "MultiArray") {
    ReadArray(texts, *type.mutable_multi_array_type());
  } else if (kind == "State") {
    ReadArray(texts, *type.mutable_state_type()->mutable_array_type());
  } else if (kind == "Image") {
    ReadImage(texts, *type.mutable_image_type());
  } else if (kind == "Dictionary") {
    spec::DictionaryFeatureType& map = *type.mutable_dictionary_type();
    if (Find(texts, "keyType") == "Int64") {
      map.mutable_int64_key_type();
    } else {
      map.mutable_string_key_type();
    }
  } else if (kind == "String") {
    type.mutable_string_type();
  } else if (kind == "Int64") {
    type.mutable_int64_type();
  } else if (kind == "Double") {
    type.mutable_double_type();
  }
}

class Reader {
 public:
  Reader(const std::string& path, spec::Model& model)
      : json_(path, simdjson::padded_string(ReadTextFile(path, kMaxMetadata)),
              0),
        model_(model) {}

  void Read() {
    json_.ReadArray([&](JsonDocument::Array array) {
      bool first = true;
      for (auto element : array) {
        if (std::exchange(first, false)) {
          ReadModel(element.value().get_object());
        } else {
          json_.Skip(element.value());
        }
      }
    });
  }

 private:
  void ReadModel(JsonDocument::Object object) {
    spec::ModelDescription& description = *model_.mutable_description();
    for (JsonDocument::Field field : object) {
      const std::string key(json_.Key(field));
      if (key == "inputSchema") {
        ReadFeatures(field.value(), *description.mutable_input());
      } else if (key == "outputSchema") {
        ReadFeatures(field.value(), *description.mutable_output());
      } else if (key == "stateSchema") {
        ReadFeatures(field.value(), *description.mutable_state());
      } else if (key == "userDefinedMetadata") {
        for (const auto& [name, text] : ReadTexts(field.value())) {
          (*description.mutable_metadata()->mutable_user_defined())[name] =
              text;
        }
      } else {
        ReadAbout(key, TextOrSkip(field.value()));
      }
    }
  }

  void ReadAbout(const std::string& key, const std::string& text) {
    spec::ModelMetadata& about =
        *model_.mutable_description()->mutable_metadata();
    if (key == "specificationVersion") {
      const std::vector<int64_t> numbers = NumbersIn(text);
      if (!numbers.empty()) {
        model_.set_specification_version(static_cast<int32_t>(
            std::clamp<int64_t>(numbers[0], 0, INT32_MAX)));
      }
    } else if (key == "shortDescription") {
      about.set_short_description(text);
    } else if (key == "version") {
      about.set_version(text);
    } else if (key == "author") {
      about.set_author(text);
    } else if (key == "license") {
      about.set_license(text);
    }
  }

  // A text, or the text of a number; "" for all else.
  std::string TextOrSkip(JsonDocument::Value value) {
    std::string_view text;
    switch (value.type()) {
      case simdjson::ondemand::json_type::string:
        text = value.get_string();
        return std::string(text);
      case simdjson::ondemand::json_type::number:
        return fmt::format("{}", double{value.get_double()});
      default:
        json_.Skip(value);
        return "";
    }
  }

  Texts ReadTexts(JsonDocument::Value value) {
    Texts texts;
    for (JsonDocument::Field field : value.get_object()) {
      const std::string key(json_.Key(field));
      texts[key] = TextOrSkip(field.value());
    }
    return texts;
  }

  template <class Features>
  void ReadFeatures(JsonDocument::Value value, Features& features) {
    for (auto element : value.get_array()) {
      ReadFeature(ReadTexts(element.value()), *features.Add());
    }
  }

  JsonDocument json_;
  spec::Model& model_;
};

void Describe(const spec::NamedValueType& value, spec::Feature& feature) {
  feature.set_name(value.name());
  const bool state = value.type().has_state_type();
  const spec::TensorType& tensor =
      state ? value.type().state_type().wrapped_type().tensor_type()
            : value.type().tensor_type();
  spec::ArrayType& array =
      state
          ? *feature.mutable_type()->mutable_state_type()->mutable_array_type()
          : *feature.mutable_type()->mutable_multi_array_type();
  const auto element =
      std::ranges::find(kElements, tensor.data_type(), &ElementName::type);
  if (element != kElements.end()) array.set_data_type(element->element);
  for (const spec::Dimension& dimension : tensor.dimensions()) {
    array.add_shape(static_cast<int64_t>(
        std::max<uint64_t>(dimension.constant().size(), 1)));
    spec::SizeRange range;
    range.set_lower_bound(dimension.has_constant() ? dimension.constant().size()
                                                   : 1);
    range.set_upper_bound(
        dimension.has_constant()
            ? static_cast<int64_t>(dimension.constant().size())
            : -1);
    *array.mutable_shape_range()->add_size_ranges() = range;
  }
}

}  // namespace

void ReadCompiledMetadata(const std::string& path, spec::Model& model) {
  Reader(path, model).Read();
}

void DescribeProgram(spec::Model& model) {
  const auto& functions = model.ml_program().functions();
  const auto function = functions.find("main");
  if (function == functions.end()) return;
  const spec::Block* body = CoreMlBodyOf(function->second);
  if (body == nullptr) return;
  spec::ModelDescription& description = *model.mutable_description();
  for (const spec::NamedValueType& input : function->second.inputs()) {
    Describe(input, input.type().has_state_type() ? *description.add_state()
                                                  : *description.add_input());
  }
  for (const std::string& name : body->outputs()) {
    for (const spec::Operation& operation : body->operations()) {
      for (const spec::NamedValueType& output : operation.outputs()) {
        if (output.name() == name) Describe(output, *description.add_output());
      }
    }
  }
}

}  // namespace tl
