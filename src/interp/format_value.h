// Values as text: what print shows, str makes and messages quote.
#pragma once

#include <string>

#include "interp/tensors.h"
#include "interp/value.h"

namespace tl {

// The shortest text that reads back as the same float: 5.0, 0.1, 1e-05.
std::string FloatText(double value);

// Strings as they are; inside lists and maps, in quotes. `column`: where on
// the line the text will begin, for tensors of several lines.
std::string ToText(Tensors& tensors, const Value& value, int column = 0);

// A string in quotes, as a program would write it.
std::string Quoted(std::string_view text);

}  // namespace tl
