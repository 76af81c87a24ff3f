#include <map>
#include <string_view>

#include "base/error.h"
#include "format/coreml_loader.h"
#include "format/model.h"

namespace tl {
namespace {

using namespace coreml::spec;

std::string_view NameOf(ArrayType::Element element) {
  switch (element) {
    case ArrayType::FLOAT16:
      return "float16";
    case ArrayType::FLOAT32:
      return "float32";
    case ArrayType::DOUBLE:
      return "float64";
    case ArrayType::INT8:
      return "int8";
    case ArrayType::INT32:
      return "int32";
    default:
      return "array";
  }
}

std::string_view NameOf(ImageType::ColorSpace space) {
  switch (space) {
    case ImageType::GRAYSCALE:
      return "grayscale";
    case ImageType::RGB:
      return "RGB";
    case ImageType::BGR:
      return "BGR";
    case ImageType::GRAYSCALE_FLOAT16:
      return "grayscale float16";
    default:
      return "of no colour space";
  }
}

std::string SizeText(const SizeRange& range) {
  if (range.upper_bound() < 0) return fmt::format("{}..", range.lower_bound());
  if (range.lower_bound() == static_cast<uint64_t>(range.upper_bound())) {
    return std::to_string(range.upper_bound());
  }
  return fmt::format("{}..{}", range.lower_bound(), range.upper_bound());
}

std::string ShapesOf(const ArrayType& array) {
  if (array.has_shape_range()) {
    std::string text;
    for (const SizeRange& range : array.shape_range().size_ranges()) {
      text += (text.empty() ? "" : ", ") + SizeText(range);
    }
    return "[" + text + "]";
  }
  if (!array.has_enumerated_shapes()) {
    return ShapeText({array.shape().begin(), array.shape().end()});
  }
  std::string text;
  for (const ArrayType::Shape& one : array.enumerated_shapes().shapes()) {
    text += (text.empty() ? "" : " or ") +
            ShapeText({one.shape().begin(), one.shape().end()});
  }
  return text;
}

std::string ImageText(const ImageType& image) {
  std::string size = fmt::format("{} x {}", image.width(), image.height());
  if (image.has_image_size_range()) {
    size =
        fmt::format("{} x {}", SizeText(image.image_size_range().width_range()),
                    SizeText(image.image_size_range().height_range()));
  } else if (image.has_enumerated_sizes()) {
    size.clear();
    for (const ImageType::Size& one : image.enumerated_sizes().sizes()) {
      size += fmt::format("{}{} x {}", size.empty() ? "" : " or ", one.width(),
                          one.height());
    }
  }
  return fmt::format("image {} {}", NameOf(image.color_space()), size);
}

template <class Features>
void AddFeatures(std::string_view kind, const Features& features,
                 Metadata& metadata) {
  for (const Feature& feature : features) {
    std::string text = CoreMlTypeText(feature.type());
    if (feature.type().is_optional()) text += ", optional";
    if (!feature.short_description().empty()) {
      text += ": " + feature.short_description();
    }
    metadata.Add(fmt::format("coreml.{}.{}", kind, feature.name()), text);
  }
}

void AddText(std::string_view key, const std::string& text,
             Metadata& metadata) {
  if (!text.empty()) metadata.Add(key, text);
}

const NeuralNetwork* NetworkOf(const coreml::spec::Model& spec) {
  if (spec.has_neural_network_classifier()) {
    return &spec.neural_network_classifier();
  }
  return nullptr;
}

void AddLabels(const NeuralNetwork& network, Metadata& metadata) {
  if (network.has_string_class_labels()) {
    const auto& labels = network.string_class_labels().vector();
    const std::vector<std::string> texts(labels.begin(), labels.end());
    metadata.Add("coreml.class_labels", MetadataValue::Strings(texts));
  } else if (network.has_int64_class_labels()) {
    const auto& labels = network.int64_class_labels().vector();
    const std::vector<int64_t> numbers(labels.begin(), labels.end());
    metadata.Add("coreml.class_labels",
                 MetadataValue::Numbers(std::span<const int64_t>(numbers)));
  }
}

}  // namespace

std::string CoreMlTypeText(const FeatureType& type) {
  switch (type.type_case()) {
    case FeatureType::kInt64Type:
      return "int64";
    case FeatureType::kDoubleType:
      return "double";
    case FeatureType::kStringType:
      return "string";
    case FeatureType::kImageType:
      return ImageText(type.image_type());
    case FeatureType::kMultiArrayType:
      return fmt::format("{} {}", NameOf(type.multi_array_type().data_type()),
                         ShapesOf(type.multi_array_type()));
    case FeatureType::kDictionaryType:
      return type.dictionary_type().has_int64_key_type()
                 ? "map from int64 to double"
                 : "map from string to double";
    case FeatureType::kSequenceType:
      return type.sequence_type().has_int64_type() ? "list of int64"
                                                   : "list of string";
    case FeatureType::kStateType:
      return fmt::format("{} {}",
                         NameOf(type.state_type().array_type().data_type()),
                         ShapesOf(type.state_type().array_type()));
    case FeatureType::TYPE_NOT_SET:
      break;
  }
  return "of no type";
}

void AddCoreMlMetadata(const coreml::spec::Model& spec, Metadata& metadata) {
  metadata.Add("coreml.kind", CoreMlModelKind(spec));
  const ModelDescription& description = spec.description();
  const ModelMetadata& about = description.metadata();
  AddText("coreml.description", about.short_description(), metadata);
  AddText("coreml.version", about.version(), metadata);
  AddText("coreml.author", about.author(), metadata);
  AddText("coreml.license", about.license(), metadata);
  AddFeatures("input", description.input(), metadata);
  AddFeatures("output", description.output(), metadata);
  AddFeatures("state", description.state(), metadata);
  for (const FunctionDescription& function : description.functions()) {
    AddFeatures(function.name() + ".input", function.input(), metadata);
    AddFeatures(function.name() + ".output", function.output(), metadata);
    AddFeatures(function.name() + ".state", function.state(), metadata);
  }
  AddText("coreml.predicted_feature", description.predicted_feature_name(),
          metadata);
  if (const NeuralNetwork* network = NetworkOf(spec)) {
    AddLabels(*network, metadata);
  }
  std::map<std::string_view, std::string_view> own;
  for (const auto& [key, text] : about.user_defined()) own.emplace(key, text);
  for (const auto& [key, text] : own) metadata.Add(key, text);
}

}  // namespace tl
