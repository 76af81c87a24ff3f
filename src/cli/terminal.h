// What people read beside the program's output: errors and diagnostics on
// standard error, in colour where that is a terminal and NO_COLOR is not set.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace tl {

// Whether standard error shows colours.
bool StandardErrorHasColour();

// Rendered diagnostics with their marks in colour: the severity, the place,
// the carets and the hint.
std::string WithColour(std::string_view rendered);

// On standard error, in colour where that is wanted. Names in them may hold any
// byte: what a terminal would act on is escaped.
void PrintDiagnostics(std::string_view rendered);
void PrintError(const Error& error);

}  // namespace tl
