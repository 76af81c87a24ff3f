// LoRA adapters: what a file of PEFT (SafeTensors with adapter_config.json) or
// of llama.cpp (GGUF) changes in which tensors of a model, whatever layout the
// model is in. Everything is checked here, before anybody computes; the sums
// are interp/merge_lora.h. The files' own rules are format/lora_peft.cc and
// format/lora_gguf.cc.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "format/model.h"
#include "format/output.h"

namespace tl {

// A tensor of the adapter, and what is to be done to its rows so that it fits
// the model's layout.
struct AdapterMatrix {
  TensorEntry entry;  // as its file has it
  RowChange change;

  std::vector<int64_t> shape() const;  // after the change
  TensorEntry Made() const;            // with the change done
};

// weight = whole or what the model has
//        + scale * (left @ right), or scale * left where there is no right,
// whose rows are then scaled to have the lengths in `magnitude` (DoRA).
struct AdapterChange {
  std::string name;  // of the model's tensor
  std::optional<AdapterMatrix> whole;
  std::optional<AdapterMatrix> left;
  std::optional<AdapterMatrix> right;
  std::optional<AdapterMatrix> magnitude;
  double scale = 1;
  const char* axes = "[out, in]";  // of the weight, for messages
};

// The changes in the order of their names, each of a tensor of its own. `path`
// is a file, or the folder that PEFT saved. Fails for an adapter that is not
// understood as a whole or does not fit the model, naming the tensor.
std::vector<AdapterChange> ReadAdapter(const std::string& path,
                                       const Model& model, double scale);

}  // namespace tl
