// From a parsed CoreML specification to a Model: every constant and every
// layer's weights become a tensor with a name, and a CoreMl that knows which is
// which. Names are those of the file: a `const` has its attribute 'name', a
// weight is LAYER.FIELD. In front of them stand the member of a pipeline, and
// the function where a program has several; a name that is there twice gets
// ".2" behind it.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "format/blob_file.h"
#include "format/coreml.h"
#include "format/mil_constant.h"

namespace tl {

class CoreMlLoader {
 public:
  // `path` is the model's; `file` the one that `spec` was parsed from, null
  // when it was a text; `folder` where the names of weight files begin.
  CoreMlLoader(std::string path,
               std::shared_ptr<const coreml::spec::Model> spec,
               std::shared_ptr<const MappedFile> file, std::string folder);

  // Fails when the kind of model holds no tensors.
  Model Load();

 private:
  // One function of a program.
  struct Function {
    std::string prefix;
    MilProducers producers;
    // Results that constexpr_… operations read, and those that others read.
    std::set<std::string_view> parts, used;
  };

  void AddModel(const coreml::spec::Model& spec, const std::string& prefix);
  void AddPipeline(const coreml::spec::Pipeline& pipeline,
                   const std::string& prefix);
  void AddNetwork(const coreml::spec::NeuralNetwork& network,
                  const std::string& prefix);
  void AddProgram(const coreml::spec::Program& program,
                  const std::string& prefix);
  void ReadUses(const coreml::spec::Block& block, Function& function);
  void AddBlock(const coreml::spec::Block& block, const Function& function);
  void AddConstant(const coreml::spec::Operation& operation,
                   const std::string& name);
  void AddComputed(const coreml::spec::Operation& operation,
                   const Function& function, const std::string& name);
  void AddBoundBlobs(const coreml::spec::Operation& operation,
                     const std::string& name);
  void Add(TensorEntry entry, const void* message);
  std::string Unique(const std::string& name);
  std::string What(const std::string& name) const;

  std::shared_ptr<CoreMl> program_ = std::make_shared<CoreMl>();
  std::shared_ptr<const MappedFile> file_;
  BlobFiles blobs_;
  Model model_;
  std::map<std::string, int> taken_;   // names, and how often
  std::set<std::string> other_kinds_;  // members of pipelines without tensors
};

// What a model says about itself, under keys that begin with "coreml."; what
// its author defined, under their own.
void AddCoreMlMetadata(const coreml::spec::Model& spec, Metadata& metadata);

}  // namespace tl
