// For tests: CoreML models by their parts. Messages are written with protobuf,
// weight files byte by byte.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/coreml.pb.h"
#include "format/load.h"
#include "format/test_files.h"
#include "tensor/decode.h"

namespace tl {

template <class T>
std::string BytesOfNumbers(std::initializer_list<T> numbers) {
  const std::span<const T> all(numbers.begin(), numbers.size());
  return {reinterpret_cast<const char*>(all.data()), all.size_bytes()};
}

// A weight file under construction; blob_file.cc has the layout.
class WeightFile {
 public:
  WeightFile() { Put(BytesOfNumbers<uint32_t>({0, 2})); }

  // The offset that a constant names.
  uint64_t Add(uint32_t type, std::string_view data) {
    Pad();
    const uint64_t record = bytes_.size();
    Put(BytesOfNumbers<uint32_t>({0xDEADBEEF, type}));
    Put(BytesOfNumbers<uint64_t>({data.size(), record + 64}));
    Pad();
    Put(data);
    return record;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void Put(std::string_view data) { bytes_ += data; }
  void Pad() { bytes_.resize((bytes_.size() + 63) / 64 * 64); }

  std::string bytes_;
};

inline coreml::spec::ValueType TensorTypeMessage(
    coreml::spec::DataType type, std::initializer_list<uint64_t> shape) {
  coreml::spec::ValueType message;
  message.mutable_tensor_type()->set_data_type(type);
  message.mutable_tensor_type()->set_rank(static_cast<int64_t>(shape.size()));
  for (const uint64_t size : shape) {
    message.mutable_tensor_type()
        ->add_dimensions()
        ->mutable_constant()
        ->set_size(size);
  }
  return message;
}

inline coreml::spec::Value BlobValue(coreml::spec::DataType type,
                                     std::initializer_list<uint64_t> shape,
                                     uint64_t offset) {
  coreml::spec::Value value;
  *value.mutable_type() = TensorTypeMessage(type, shape);
  value.mutable_blob_file_value()->set_file_name(
      "@model_path/weights/weight.bin");
  value.mutable_blob_file_value()->set_offset(offset);
  return value;
}

inline coreml::spec::Value BytesValue(coreml::spec::DataType type,
                                      std::initializer_list<uint64_t> shape,
                                      std::string_view bytes) {
  coreml::spec::Value value;
  *value.mutable_type() = TensorTypeMessage(type, shape);
  value.mutable_immediate_value()
      ->mutable_tensor()
      ->mutable_bytes()
      ->set_values(std::string(bytes));
  return value;
}

inline coreml::spec::Value FloatsValue(std::initializer_list<uint64_t> shape,
                                       std::initializer_list<float> numbers) {
  coreml::spec::Value value;
  *value.mutable_type() = TensorTypeMessage(coreml::spec::FLOAT32, shape);
  for (const float number : numbers) {
    value.mutable_immediate_value()
        ->mutable_tensor()
        ->mutable_floats()
        ->add_values(number);
  }
  return value;
}

inline coreml::spec::Value IntsValue(std::initializer_list<uint64_t> shape,
                                     std::initializer_list<int32_t> numbers) {
  coreml::spec::Value value;
  *value.mutable_type() = TensorTypeMessage(coreml::spec::INT32, shape);
  for (const int32_t number : numbers) {
    value.mutable_immediate_value()
        ->mutable_tensor()
        ->mutable_ints()
        ->add_values(number);
  }
  return value;
}

inline coreml::spec::Value TextValue(std::string text) {
  coreml::spec::Value value;
  *value.mutable_type() = TensorTypeMessage(coreml::spec::STRING, {});
  value.mutable_immediate_value()
      ->mutable_tensor()
      ->mutable_strings()
      ->add_values(std::move(text));
  return value;
}

// A model with one function "main", whose block is filled in here.
struct TestProgram {
  TestProgram() {
    model.set_specification_version(9);
    coreml::spec::Feature& input = *model.mutable_description()->add_input();
    input.set_name("x");
    input.mutable_type()->mutable_multi_array_type()->add_shape(2);
    coreml::spec::Function& main =
        (*model.mutable_ml_program()->mutable_functions())["main"];
    main.set_opset("CoreML8");
    block = &(*main.mutable_block_specializations())["CoreML8"];
  }

  coreml::spec::Operation& Add(std::string type, std::string name) {
    coreml::spec::Operation& operation = *block->add_operations();
    operation.set_type(std::move(type));
    operation.add_outputs()->set_name(name);
    (*operation.mutable_attributes())["name"] = TextValue(std::move(name));
    return operation;
  }
  coreml::spec::Operation& Const(std::string name, coreml::spec::Value value) {
    coreml::spec::Operation& operation = Add("const", std::move(name));
    (*operation.mutable_attributes())["val"] = std::move(value);
    return operation;
  }
  static void Bind(coreml::spec::Operation& operation, const std::string& input,
                   std::string name) {
    (*operation.mutable_inputs())[input].add_arguments()->set_name(
        std::move(name));
  }
  static void Give(coreml::spec::Operation& operation, const std::string& input,
                   coreml::spec::Value value) {
    *(*operation.mutable_inputs())[input].add_arguments()->mutable_value() =
        std::move(value);
  }

  coreml::spec::Model model;
  coreml::spec::Block* block = nullptr;
};

// A network without layers, and one layer of a kind for it.
inline coreml::spec::Model TestNetwork() {
  coreml::spec::Model model;
  model.set_specification_version(4);
  coreml::spec::Feature& input = *model.mutable_description()->add_input();
  input.set_name("x");
  input.mutable_type()->mutable_multi_array_type()->add_shape(3);
  model.mutable_neural_network();
  return model;
}

inline coreml::spec::InnerProduct& AddInnerProduct(coreml::spec::Model& model,
                                                   std::string name,
                                                   uint64_t outputs,
                                                   uint64_t inputs) {
  coreml::spec::Layer& layer = *model.mutable_neural_network()->add_layers();
  layer.set_name(std::move(name));
  layer.mutable_inner_product()->set_output_channels(outputs);
  layer.mutable_inner_product()->set_input_channels(inputs);
  return *layer.mutable_inner_product();
}

// Models in a folder of their own.
class CoreMlTest : public TempFolderTest {
 protected:
  // A package around these two files, opened.
  Model Package(const coreml::spec::Model& model, const std::string& weights = "") {
    std::filesystem::create_directories(Path("p/Data/m/weights"));
    Make("p/Manifest.json", R"({"fileFormatVersion": "1.0.0",
        "itemInfoEntries": {"A": {"path": "m/model.mlmodel"}},
        "rootModelIdentifier": "A"})");
    Make("p/Data/m/model.mlmodel", model.SerializeAsString());
    if (!weights.empty()) Make("p/Data/m/weights/weight.bin", weights);
    return LoadModel(Path("p"));
  }
  Model File(const coreml::spec::Model& model) {
    return LoadModel(Make("m.mlmodel", model.SerializeAsString()));
  }
  std::string Refusal(const coreml::spec::Model& model,
                      const std::string& weights = "") {
    return FailureOf([&] { Package(model, weights); });
  }
  std::string FileRefusal(const coreml::spec::Model& model) {
    return FailureOf([&] { File(model); });
  }
  std::string Label(const std::string& tensor) const {
    return folder_ + "/p: tensor '" + tensor + "': ";
  }
  std::string FileLabel(const std::string& tensor) const {
    return folder_ + "/m.mlmodel: tensor '" + tensor + "': ";
  }
};

inline std::vector<float> Values(const Model& model, const std::string& name) {
  const TensorEntry& entry = model.Get(name);
  std::vector<float> values(entry.elements);
  Decode(*entry.dtype, entry.stored(), values);
  return values;
}

inline std::vector<std::string> Names(const Model& model) {
  std::vector<std::string> names;
  for (const TensorEntry& entry : model.tensors()) names.push_back(entry.name);
  return names;
}

// ---- layers

}  // namespace tl
