// Tensors as text, the way PyTorch's default print options show them, without
// `tensor(`, type or device: 4 decimals, 3 edge items above 1000 elements, 80
// columns.
#pragma once

#include <string>

#include "tensor/tensor.h"

namespace tl {

// `column`: where the text will stand on its first line; later lines align
// under the first element. The tensor is F16, F32 or I32, in host memory, with
// at least one axis.
std::string FormatTensor(const Tensor& tensor, int column);

// Of such a tensor.
double ElementAt(const Tensor& tensor, int64_t i);

}  // namespace tl
