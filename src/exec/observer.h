// What the rest of the program may want to know about a run.
#pragma once

#include <cstdint>
#include <string>

#include "exec/plan.h"
#include "exec/structure.h"

namespace tl {

class Observer {  // everything is optional
 public:
  virtual ~Observer() = default;
  virtual void OnPlan(const Plan&, const Structure&) {}  // a new one was made
  virtual bool wants_steps() const { return false; }
  virtual void OnStep(const Plan&, const Step&, double /*seconds*/) {}
  // Leaves were copied from host memory to the device; where steps are wanted.
  virtual void OnCopy(int64_t /*bytes*/, double /*seconds*/) {}
  // A leaf is about to be placed on the device, to stay there: may fail.
  virtual void OnPlace(const Node& /*leaf*/) {}
  // A conversion (an OpId::Decode) lost something.
  virtual void OnDecode(const Node& /*conversion*/, const DecodeCounts&) {}
  // A place in the program, for notes on errors: "mlp.tl:7:12".
  virtual std::string Describe(Location) { return ""; }
};

}  // namespace tl
