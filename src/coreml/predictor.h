// Running a CoreML model: features in, features out. One kind of predictor for
// each kind of model; they share the host's graph, so a result is as lazy as any
// tensor of the language. On Apple systems the platform's own runtime would be
// one more kind here; it is not built.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "coreml/feature.h"
#include "coreml/host.h"
#include "format/coreml.h"
#include "format/model.h"

namespace tl::coreml {

struct NamedValue {
  std::string name;
  Value value;
};

class Predictor {
 public:
  // Fails for a model that has nothing to run, and names the first operation
  // that does not run here. `model` and `host` must outlive what it gives.
  static std::unique_ptr<Predictor> Open(const Model& model, Host& host);

  virtual ~Predictor() = default;

  const std::vector<Feature>& inputs() const { return inputs_; }
  const std::vector<Feature>& outputs() const { return outputs_; }

  // Values for inputs by name; of several, in any order. Fails for an input that
  // is missing, unknown, or of another shape than the description allows.
  std::vector<NamedValue> Predict(const std::vector<NamedValue>& given);

 protected:
  Predictor(std::vector<Feature> inputs, std::vector<Feature> outputs,
            Host& host)
      : inputs_(std::move(inputs)), outputs_(std::move(outputs)), host_(host) {}

  Host& host() const { return host_; }
  // One value for each input, in their order; what comes back is every value
  // that may be asked for, by name.
  virtual std::vector<NamedValue> Run(std::vector<Value> inputs) = 0;

 private:
  std::vector<Feature> inputs_, outputs_;
  Host& host_;
};

// For pipelines: a predictor of one model of `coreml`.
std::unique_ptr<Predictor> OpenMember(const CoreMl& coreml, const Model& model,
                                      const spec::Model& member, Host& host);

}  // namespace tl::coreml
