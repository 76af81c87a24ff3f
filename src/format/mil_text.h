// A MIL program as text, which a compiled model (.mlmodelc) has in model.mil:
//
//   program(1.0)
//   [buildInfo = dict<tensor<string, []>, tensor<string, []>>({{"a", "b"}})]
//   {
//       func main<ios16>(tensor<fp16, [1, 10]> x) {
//               tensor<fp16, [10]> w = const()[name = tensor<string, []>("w"),
//                   val = tensor<fp16, [10]>(BLOBFILE(path = …, offset = …))];
//               tensor<fp16, [1, 10]> y = mul(x = x, y = w)[name = …];
//           } -> (y);
//   }
//
// From ios18 on a scalar is written string("w"), not tensor<string, []>("w").
// Parsed into the messages of coreml_mil.proto, so that nobody else sees texts.
#pragma once

#include <string>
#include <string_view>

#include "format/coreml_messages.h"

namespace tl {

// Into the program of `messages`. `path` is for errors, which begin
// "PATH:LINE: ".
void ReadMilText(const std::string& path, std::string_view text,
                 CoreMlMessages& messages);

}  // namespace tl
