// For tests: what an Error says.
#pragma once

#include <string>

#include "base/error.h"

namespace tl {

// Of the Error that f() fails with, the notes in lines of their own.
template <class F>
std::string FailureOf(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    std::string text = error.text();
    for (const std::string& note : error.notes()) text += "\nnote: " + note;
    return text;
  }
  return "no failure";
}

}  // namespace tl
