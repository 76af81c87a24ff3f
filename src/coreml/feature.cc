#include "coreml/feature.h"

#include <algorithm>

#include "base/error.h"
#include "ops/build.h"

namespace tl::coreml {
namespace {

using Kind = Feature::Kind;

SizeBounds BoundsOf(const spec::SizeRange& range) {
  SizeBounds bounds;
  bounds.least = static_cast<int64_t>(range.lower_bound());
  if (range.upper_bound() >= 0) bounds.most = range.upper_bound();
  return bounds;
}

void ReadArray(const spec::ArrayType& array, Feature& feature) {
  feature.kind = Kind::kArray;
  feature.takes_ints = array.data_type() == spec::ArrayType::INT32 ||
                       array.data_type() == spec::ArrayType::INT8;
  feature.shape.assign(array.shape().begin(), array.shape().end());
  for (const spec::ArrayType::Shape& s : array.enumerated_shapes().shapes()) {
    feature.shapes.emplace_back(s.shape().begin(), s.shape().end());
  }
  for (const spec::SizeRange& range : array.shape_range().size_ranges()) {
    feature.bounds.push_back(BoundsOf(range));
  }
  if (array.has_int_default()) feature.otherwise = array.int_default();
  if (array.has_float_default()) feature.otherwise = array.float_default();
  if (array.has_double_default()) feature.otherwise = array.double_default();
}

std::string ColorName(spec::ImageType::ColorSpace color) {
  switch (color) {
    case spec::ImageType::RGB:
      return "rgb";
    case spec::ImageType::BGR:
      return "bgr";
    default:
      return "grayscale";
  }
}

void ReadImage(const spec::ImageType& image, Feature& feature) {
  feature.kind = Kind::kImage;
  feature.color = ColorName(image.color_space());
  const int64_t channels = feature.color == "grayscale" ? 1 : 3;
  const auto shape = [&](int64_t height, int64_t width) {
    return std::vector<int64_t>{1, channels, height, width};
  };
  feature.shape = shape(image.height(), image.width());
  for (const spec::ImageType::Size& size : image.enumerated_sizes().sizes()) {
    feature.shapes.push_back(shape(static_cast<int64_t>(size.height()),
                                   static_cast<int64_t>(size.width())));
  }
  if (!image.has_image_size_range()) return;
  feature.bounds = {{1, 1},
                    {channels, channels},
                    BoundsOf(image.image_size_range().height_range()),
                    BoundsOf(image.image_size_range().width_range())};
}

Feature FeatureOf(const spec::Feature& from) {
  Feature feature;
  feature.name = from.name();
  feature.description = from.short_description();
  const spec::FeatureType& type = from.type();
  feature.type = CoreMlTypeText(type);
  feature.optional = type.is_optional();
  switch (type.type_case()) {
    case spec::FeatureType::kMultiArrayType:
      ReadArray(type.multi_array_type(), feature);
      break;
    case spec::FeatureType::kImageType:
      ReadImage(type.image_type(), feature);
      break;
    case spec::FeatureType::kInt64Type:
      feature.kind = Kind::kInt;
      feature.takes_ints = true;
      break;
    case spec::FeatureType::kDoubleType:
      feature.kind = Kind::kDouble;
      break;
    case spec::FeatureType::kStringType:
      feature.kind = Kind::kText;
      break;
    case spec::FeatureType::kDictionaryType:
      feature.kind = Kind::kMap;
      break;
    default:
      break;
  }
  return feature;
}

template <class List>
std::vector<Feature> FeaturesOf(const List& list) {
  std::vector<Feature> features;
  for (const spec::Feature& feature : list) {
    features.push_back(FeatureOf(feature));
  }
  return features;
}

// Of a program with several functions, the one that runs unless asked for
// another; null for all other models.
const spec::FunctionDescription* DefaultFunction(const spec::Model& model) {
  const spec::ModelDescription& description = model.description();
  for (const spec::FunctionDescription& f : description.functions()) {
    if (f.name() == description.default_function_name()) return &f;
  }
  return description.functions().empty() ? nullptr
                                         : &description.functions(0);
}

std::vector<int64_t> Sizes(const Shape& shape) {
  std::vector<int64_t> sizes;
  for (Dim dim : shape) sizes.push_back(dim.value());
  return sizes;
}

bool Within(const Feature& feature, const std::vector<int64_t>& shape) {
  if (feature.shape.empty() && feature.bounds.empty()) return true;
  if (!feature.shapes.empty()) {
    return std::count(feature.shapes.begin(), feature.shapes.end(), shape) > 0;
  }
  if (feature.bounds.empty()) return shape == feature.shape;
  if (shape.size() != feature.bounds.size()) return false;
  for (size_t i = 0; i < shape.size(); ++i) {
    const SizeBounds& bounds = feature.bounds[i];
    if (shape[i] < bounds.least || (bounds.most && shape[i] > *bounds.most)) {
      return false;
    }
  }
  return true;
}

// Whether this is a network with the older array mapping.
bool SeesRank5(const spec::Model& model) {
  const auto five = [](const spec::NeuralNetwork& network) {
    return network.array_input_shape_mapping() == spec::RANK5_ARRAY_MAPPING;
  };
  switch (model.kind_case()) {
    case spec::Model::kNeuralNetwork:
      return five(model.neural_network());
    case spec::Model::kNeuralNetworkClassifier:
      return five(model.neural_network_classifier());
    case spec::Model::kNeuralNetworkRegressor:
      return five(model.neural_network_regressor());
    default:
      return false;
  }
}

// [sequence, batch, channels] or all five axes, where [channels] or [channels,
// height, width] is described: as five axes. Null for any other x.
TensorRef AsSequence(Builder& lo, const Feature& feature, const TensorRef& x) {
  Shape shape = x->shape();
  if (!feature.sequences || (shape.rank() != 3 && shape.rank() != 5)) return {};
  while (shape.rank() < 5) shape.Append(1);
  const std::vector<int64_t> sizes = Sizes(shape);
  const bool vectors = feature.shape.size() == 1;
  if (vectors && (sizes[3] != 1 || sizes[4] != 1)) return {};
  const auto channels = sizes.begin() + 2;
  const auto end = vectors ? channels + 1 : sizes.end();
  return Within(feature, {channels, end}) ? Reshape(lo, x, shape) : TensorRef();
}

}  // namespace

std::vector<Feature> InputsOf(const spec::Model& model) {
  const spec::FunctionDescription* function = DefaultFunction(model);
  std::vector<Feature> features =
      function ? FeaturesOf(function->input())
               : FeaturesOf(model.description().input());
  for (Feature& feature : features) {
    const size_t rank = feature.shape.size();
    feature.sequences = SeesRank5(model) && feature.kind == Kind::kArray &&
                        (rank == 1 || rank == 3);
  }
  return features;
}

std::vector<Feature> OutputsOf(const spec::Model& model) {
  const spec::FunctionDescription* function = DefaultFunction(model);
  return function ? FeaturesOf(function->output())
                  : FeaturesOf(model.description().output());
}

TensorRef AsInput(Host& host, const Feature& feature, const TensorRef& given) {
  Builder& lo = host.builder();
  TensorRef x = given;
  const bool image = feature.kind == Kind::kImage;
  // [height, width] or [channels, height, width] is an image, too; a number
  // where one element is wanted is it.
  const size_t rank = feature.shape.size();
  while (image && x->rank() >= 2 && x->rank() < 4) x = Unsqueeze(lo, x, 0);
  if (x->rank() == 0 && rank > 0 && feature.kind == Kind::kArray) {
    x = Reshape(lo, x, ShapeOf(std::vector<int64_t>(rank, 1)));
  }
  if (!Within(feature, Sizes(x->shape()))) {
    x = AsSequence(lo, feature, x);
    if (!x) {
      Fail(ErrorKind::kProgram,
           "predict: input '{}' has shape {}; the model takes {}", feature.name,
           given->shape().ToString(), feature.type);
    }
  }
  if (feature.takes_ints) {
    if (x->dtype() != DType::I32) {
      Fail(ErrorKind::kProgram,
           "predict: input '{}' is of floats; the model takes {}; "
           "to(x, int32) converts",
           feature.name, feature.type);
    }
    return x;
  }
  return Cast(lo, x, host.dtype());
}

}  // namespace tl::coreml
